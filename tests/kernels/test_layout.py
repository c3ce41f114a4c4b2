from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.kernels.emit import ROWS
from bebertlab.kernels.layout import WeightTiles, aligned_empty, aligned_zeros, block_count, pack_planes, padded_words


@pytest.mark.parametrize("shape", [(1,), (3, 5), (1000,)])
def test_arrays_begin_at_cache_lines(shape: tuple[int, ...]) -> None:
    for _ in range(5):
        zeros, empty = aligned_zeros(shape, np.float32), aligned_empty(shape, np.float32)
        assert zeros.ctypes.data % 64 == empty.ctypes.data % 64 == 0
        assert zeros.shape == empty.shape == shape
        assert not zeros.any()


@pytest.mark.parametrize(("columns", "words"), [(1, 2), (64, 2), (65, 4), (768, 24)])
def test_rows_take_whole_pairs_of_words(columns: int, words: int) -> None:
    assert padded_words(columns) == words


def test_blocks() -> None:
    assert [block_count(tokens) for tokens in (1, 16, 17, 128)] == [1, 1, 2, 8]


@given(rows=st.integers(1, 20), columns=st.integers(1, 150), bits=st.integers(1, 8), seed=st.integers(0, 5))
def test_weights_are_tiles_of_words(rows: int, columns: int, bits: int, seed: int) -> None:
    indices = np.random.default_rng(seed).integers(0, 2**bits, (rows, columns))
    tiles = WeightTiles.of_levels(5 + 3 * indices, 5, 3, bits)
    assert tiles.words.shape == (-(-rows // ROWS), bits, padded_words(columns), ROWS)
    assert (tiles.planes, tiles.rows, tiles.columns, tiles.low, tiles.spacing) == (bits, rows, columns, 5, 3)
    np.testing.assert_array_equal(tiles.index_sums, indices.sum(1))
    words = tiles.words.transpose(0, 3, 1, 2).reshape(-1, bits, tiles.words.shape[2])
    unpacked = (words[..., None] >> np.arange(32, dtype=np.uint32)) & 1
    unpacked = unpacked.reshape(len(words), bits, -1)
    np.testing.assert_array_equal((unpacked[:rows, :, :columns] << np.arange(bits)[:, None]).sum(1), indices)
    assert not unpacked[rows:].any()
    assert not unpacked[:, :, columns:].any()


@pytest.mark.parametrize("spare_bytes", [0, 3])
def test_planes_of_a_file_may_have_padding(spare_bytes: int) -> None:
    levels = np.random.default_rng(0).integers(-1, 2, (9, 70))
    planes = np.pad(pack_planes(levels, -1, 1, 2), ((0, 0), (0, 0), (0, 7 + spare_bytes)))
    expected = WeightTiles.of_levels(levels, -1, 1, 2)
    tiles = WeightTiles.of_planes(planes, 70, -1, 1)
    np.testing.assert_array_equal(tiles.words, expected.words)
    np.testing.assert_array_equal(tiles.index_sums, expected.index_sums)
