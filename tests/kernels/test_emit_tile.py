from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from bebertlab.kernels.compiler import Kernels, compile_kernels
from bebertlab.kernels.emit import ROWS, TOKENS, Emitter
from bebertlab.kernels.emit_tile import Combination, add_counts, grouped_blocks, row_groups
from bebertlab.kernels.layout import aligned_zeros
from bebertlab.kernels.target import KernelTarget


def emit_tiles(e: Emitter) -> None:
    combination: Combination
    for combination in get_args(Combination):
        with e.function(combination, "inputs", "weights", "words", "out") as (inputs, weights, words, out):
            for rows in row_groups(e):
                counts = e.variables(e.number(e.words, -5), len(rows))
                add_counts(e, combination, inputs, weights, words, counts, rows)
                for row, count in zip(rows, counts, strict=True):
                    e.store(count.value, out + 64 * row)
    with (
        e.function("visit", "out", "blocks", "tiles", "size") as (out, blocks, tiles, _),
        grouped_blocks(e, blocks, tiles, 3) as (block, tile),
    ):
        at = out + (block * tiles + tile) * 8
        e.store(e.load(e.i64, at) + 1, at)


@pytest.fixture(scope="module")
def tiles(target: KernelTarget) -> Kernels:
    e = Emitter(native_popcount=target.native_popcount, tile_rows=target.tile_rows)
    emit_tiles(e)
    return compile_kernels(e, target)


@pytest.mark.parametrize("words", [0, 2, 28, 30, 32, 62, 98])
@pytest.mark.parametrize("full", [False, True])  # all bits differ: the most that a counter has to hold
def test_counts(tiles: Kernels, words: int, full: bool) -> None:
    inputs, weights = aligned_zeros((words, TOKENS), np.uint32), aligned_zeros((words, ROWS), np.uint32)
    rng = np.random.default_rng(words)
    inputs[:] = 2**32 - 1 if full else rng.integers(0, 2**32, inputs.shape)
    weights[:] = 0 if full else rng.integers(0, 2**32, weights.shape)
    pairs = inputs[:, None, :], weights[:, :, None]
    for name, combined in (("xor", pairs[0] ^ pairs[1]), ("and", pairs[0] & pairs[1])):
        out = aligned_zeros((ROWS, TOKENS), np.int32)
        tiles.call(name, inputs.ctypes.data, weights.ctypes.data, words, out.ctypes.data)
        np.testing.assert_array_equal(out, np.bitwise_count(combined).sum(0, dtype=np.int32) - 5)


@pytest.mark.parametrize(("blocks", "count"), [(1, 1), (2, 3), (3, 7), (0, 4), (4, 0)])
def test_every_block_meets_every_tile_once(tiles: Kernels, blocks: int, count: int) -> None:
    visits = np.zeros((blocks + 1, count + 1), np.int64)  # not a byte further
    tiles.call("visit", visits.ctypes.data, blocks, count, 0)
    assert (visits.reshape(-1)[: blocks * count] == 1).all()
    assert visits.sum() == blocks * count
