from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.kernels.emit_quantize import LARGEST_LEVEL, LevelRule
from bebertlab.kernels.rows import Layout, RowKernels

FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
INFINITY = float("inf")
RULES = {
    "multiplies": LevelRule(-INFINITY, INFINITY, 0.0, 1.0, 3.7, -127, 127),
    "clips": LevelRule(-0.75, 1.25, -0.75, 1.0, 127.5, 0, 255),
    "divides": LevelRule(-INFINITY, INFINITY, 0.0, 0.3, 1.0, -8, 7),
    "divides and multiplies": LevelRule(0.0, 1.7, 0.0, 1.7, 15.0, 0, 15),
}


def reference(x: FloatArray, rule: LevelRule) -> FloatArray:
    numbers = [np.float32(number) for number in rule]
    clip_low, clip_high, base, divisor, factor, low, high = numbers
    with np.errstate(over="ignore"):
        scaled = (np.clip(x, clip_low, clip_high) - base) / divisor * factor
    levels: FloatArray = np.rint(np.clip(scaled, low, high))
    return levels


def quantize(
    rows: RowKernels, x: FloatArray, rule: LevelRule, layout: Layout, zero: int | None
) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    out = np.full(x.size + 8, 77, np.float32 if zero is None else np.uint8)
    stride = x.strides[0]
    rows.quantize(x.ctypes.data, stride, rows.no_shifts, rule, out.ctypes.data, layout, zero)
    assert (out[-8:] == 77).all()
    return out[:-8]


@pytest.mark.parametrize("columns", [1, 16, 21])
@pytest.mark.parametrize("name", RULES)
def test_levels_are_those_of_numpy(rows: RowKernels, name: str, columns: int) -> None:
    rule = RULES[name]
    x = np.random.default_rng(1).normal(size=(6, columns)).astype(np.float32)
    x[0, 0], x[1, 0] = -0.0, 1e30
    layout, expected = Layout.of_rows(6, columns), reference(x, rule).reshape(-1)
    np.testing.assert_array_equal(quantize(rows, x, rule, layout, None), expected)
    codes = quantize(rows, x, rule, layout, 128).astype(np.int64)
    np.testing.assert_array_equal(codes, (expected.astype(np.int64) + 128) % 256)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_ties_go_to_the_even_level(rows: RowKernels, factor: float) -> None:
    x = (np.arange(-40, 41, dtype=np.float32) / 2)[None] / np.float32(factor)
    rule = LevelRule(-INFINITY, INFINITY, 0.0, 1.0, factor, -LARGEST_LEVEL, LARGEST_LEVEL)
    levels = quantize(rows, np.ascontiguousarray(x[:, :64]), rule, Layout.of_rows(1, 64), None)
    np.testing.assert_array_equal(levels, np.rint(x[0, :64] * np.float32(factor)))


positive = st.floats(2.0**-17, 2.0**17, width=32)


@given(x=st.lists(st.floats(-1e6, 1e6, width=32), min_size=16, max_size=16), divisor=positive)
def test_a_quotient_is_rounded_as_a_division(rows: RowKernels, x: list[float], divisor: float) -> None:
    values = np.array([x], np.float32)
    # halves of levels, where the last bit of a quotient decides
    values[0, :8] = (np.rint(values[0, :8]) + np.float32(0.5)) * np.float32(divisor)
    rule = LevelRule(-INFINITY, INFINITY, 0.0, divisor, 1.0, -1000, 1000)
    levels = quantize(rows, values, rule, Layout.of_rows(1, 16), None)
    np.testing.assert_array_equal(levels, reference(values, rule)[0])


def test_shifts_are_added_and_rows_selected(rows: RowKernels) -> None:
    x = np.random.default_rng(2).normal(size=(6, 20)).astype(np.float32)
    shifts, out = np.linspace(-1, 1, 20, dtype=np.float32), np.empty((2, 20), np.float32)
    rule = RULES["divides"]
    rows.quantize(x.ctypes.data, 3 * 20 * 4, shifts.ctypes.data, rule, out.ctypes.data, Layout.of_rows(2, 20))
    np.testing.assert_array_equal(out, reference(x[::3] + shifts, rule))


def test_heads_are_separated(rows: RowKernels) -> None:
    batch, tokens, heads, size = 2, 3, 2, 17
    x = np.random.default_rng(3).normal(size=(batch * tokens, heads * size)).astype(np.float32)
    rule = RULES["multiplies"]
    levels = quantize(rows, x, rule, Layout(batch, tokens, heads, size), None)
    expected = reference(x, rule).reshape(batch, tokens, heads, size).transpose(0, 2, 1, 3)
    np.testing.assert_array_equal(levels.reshape(expected.shape), expected)
