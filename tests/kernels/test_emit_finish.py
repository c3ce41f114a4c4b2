from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bebertlab.kernels.emit_finish import Branch
from bebertlab.kernels.rows import Extremes, NormAddresses, RowKernels, bits_of

FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
ROWS = 5


class Sums:
    """Sums of products that lie in a wider matrix, and what scales them."""

    def __init__(self, columns: int, seed: int, *, by_row: bool, shifted: bool) -> None:
        generator = np.random.default_rng(seed)
        self.counts = generator.integers(-900, 900, (ROWS, columns + 3)).astype(np.float32)
        self.scales, self.bias, self.sums = generator.normal(size=(3, columns)).astype(np.float32)
        self.steps, self.offsets = generator.normal(size=(2, ROWS, 1) if by_row else (2, 1, 1)).astype(np.float32)
        self.shifted, self.columns = shifted, columns

    def branch(self) -> Branch:
        stride = 4 if len(self.steps) > 1 else 0
        return Branch(
            counts=self.counts.ctypes.data + 4,
            stride=self.counts.strides[0],
            scales=self.scales.ctypes.data,
            biases=self.bias.ctypes.data,
            sums=self.sums.ctypes.data,
            steps=self.steps.ctypes.data,
            step_stride=stride,
            offsets=self.offsets.ctypes.data if self.shifted else 0,
            offset_stride=stride,
        )

    def value(self) -> FloatArray:
        bias = self.bias + self.offsets * self.sums if self.shifted else self.bias
        value: FloatArray = self.counts[:, 1 : 1 + self.columns] * (self.scales * self.steps) + bias
        return value


def total(branches: Sequence[Sums]) -> FloatArray:
    value = branches[0].value()
    for branch in branches[1:]:
        value = value + branch.value()
    return value


def branches_of(columns: int, count: int, *, by_row: bool, shifted: bool) -> list[Sums]:
    return [Sums(columns, seed, by_row=by_row, shifted=shifted and seed != 1) for seed in range(count)]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(("columns", "count"), [(1, 1), (16, 2), (37, 3)])
def test_branches_are_added_in_order(
    rows: RowKernels, columns: int, count: int, shifted: bool, by_row: bool, relu: bool
) -> None:
    branches = branches_of(columns, count, by_row=by_row, shifted=shifted)
    out = np.full((ROWS + 1, columns), 77, np.float32)
    shifts = np.linspace(-3, 3, columns, dtype=np.float32)
    records = [branch.branch() for branch in branches]
    extremes = rows.finish_products(records, out.ctypes.data, ROWS, columns, shifts.ctypes.data, relu=relu)
    expected = total(branches)
    expected = np.maximum(expected, 0) if relu else expected
    np.testing.assert_array_equal(out[:-1], expected)
    assert (out[-1] == 77).all()
    assert extremes == Extremes((expected + shifts).min(), (expected + shifts).max())


def test_values_that_are_there_are_kept(rows: RowKernels) -> None:
    out = np.array([[-1.0, 2.0, np.nan]], np.float32)
    assert rows.finish_products([], out.ctypes.data, 1, 3, rows.no_shifts, relu=True) is None
    np.testing.assert_array_equal(out, np.array([[0.0, 2.0, np.nan]], np.float32))


def normalized(x: FloatArray, gamma: FloatArray, beta: FloatArray, epsilon: float) -> FloatArray:
    wide = x.astype(np.float64)
    centred = wide - wide.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    rounded: FloatArray = (scaled * gamma + beta).astype(np.float32)
    return rounded


@pytest.mark.parametrize("first_rows", [False, True])
@pytest.mark.parametrize("columns", [1, 16, 37])
def test_layer_norm_is_of_float64_rounded_once(rows: RowKernels, columns: int, first_rows: bool) -> None:
    branches = branches_of(columns, 2, by_row=False, shifted=True)
    generator, distance = np.random.default_rng(4), 3 if first_rows else 1
    residual = generator.normal(size=(ROWS * distance, columns)).astype(np.float32)
    residual[:, 0] *= 40  # an outlier channel
    parameters = generator.normal(size=(2, columns)).astype(np.float32).astype(np.float64)
    out, shifts = np.empty((ROWS, columns), np.float32), np.linspace(-1, 1, columns, dtype=np.float32)
    extremes = rows.finish_norm(
        [branch.branch() for branch in branches],
        residual.ctypes.data,
        residual.strides[0] * distance,
        NormAddresses(parameters.ctypes.data, bits_of(1e-12)),
        out.ctypes.data,
        ROWS,
        columns,
        shifts.ctypes.data,
    )
    expected = normalized(residual[::distance] + total(branches), parameters[0], parameters[1], 1e-12)
    np.testing.assert_array_equal(out, expected)
    assert extremes == Extremes((expected + shifts).min(), (expected + shifts).max())
