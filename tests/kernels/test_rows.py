from __future__ import annotations

import copy
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bebertlab.kernels.emit_quantize import LevelRule
from bebertlab.kernels.rows import Extremes, Layout, RowKernels, bits_of


def test_the_bits_of_a_float64() -> None:
    assert struct.pack("=q", bits_of(1e-12)) == struct.pack("=d", 1e-12)


def test_rows_keep_their_layout() -> None:
    assert Layout.of_rows(3, 5) == Layout(batch=1, tokens=3, heads=1, size=5)


def test_a_copy_is_the_same_object(rows: RowKernels) -> None:
    assert copy.deepcopy(rows) is rows


def test_threads_do_not_share_memory(rows: RowKernels) -> None:
    rule = LevelRule(-1e9, 1e9, 0.0, 1.0, 1.0, -100, 100)

    def run(number: int) -> bool:
        x, out = np.full((200, 64), number, np.float32), np.empty((200, 64), np.float32)
        for _ in range(20):
            rows.quantize(x.ctypes.data, 256, rows.no_shifts, rule, out.ctypes.data, Layout.of_rows(200, 64))
            if not (out == number).all() or rows.find_extremes(out.ctypes.data, 200, 64, rows.no_shifts) != Extremes(
                number, number
            ):
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, range(16)))
