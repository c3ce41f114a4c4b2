from __future__ import annotations

import numpy as np
import pytest

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.emit import Emitter
from bebertlab.kernels.emit_rows import WIDTHS, floats, for_columns, reduce_lanes
from bebertlab.kernels.rows import Extremes, RowKernels
from tests.kernels.conftest import KernelsOf


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 40])
def test_extremes_are_those_of_the_sum_with_shifts(rows: RowKernels, columns: int) -> None:
    generator = np.random.default_rng(columns)
    x = generator.normal(size=(5, columns)).astype(np.float32)
    shifts = generator.normal(size=columns).astype(np.float32)
    extremes = rows.find_extremes(x.ctypes.data, 5, columns, shifts.ctypes.data)
    assert extremes == Extremes((x + shifts).min(), (x + shifts).max())
    assert rows.find_extremes(x.ctypes.data, 5, columns, rows.no_shifts) == Extremes(x.min(), x.max())


@pytest.mark.parametrize("column", [0, 16, 18])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_there_are_no_extremes_of_numbers_that_are_not_finite(rows: RowKernels, number: float, column: int) -> None:
    x = np.ones((3, 19), np.float32)
    x[1, column] = number
    assert rows.find_extremes(x.ctypes.data, 3, 19, rows.no_shifts) is None


def test_lanes_are_reduced_and_columns_visited_once(kernels_of: KernelsOf) -> None:
    pytest.importorskip("llvmlite")
    from bebertlab.kernels.compiler import compile_kernels
    from bebertlab.kernels.target import kernel_target

    e = Emitter(native_popcount=False, tile_rows=4)
    with e.function("count", "out", "columns") as (out, columns):

        def visit(column: object, width: int) -> None:
            at = out + column * 4  # type: ignore[operator]
            e.store(e.load(floats(e, width), at) + 1.0, at)

        for_columns(e, columns, visit)
        total = reduce_lanes(e.load(floats(e, WIDTHS[0]), out), lambda first, second: first + second)
        e.store(total, out + 128)
    kernels: Kernels = compile_kernels(e, kernel_target())
    memory = np.zeros(40, np.float32)
    kernels.call("count", memory.ctypes.data, 19)
    assert memory[:32].tolist() == [1.0] * 19 + [0.0] * 13
    assert memory[32] == 16
