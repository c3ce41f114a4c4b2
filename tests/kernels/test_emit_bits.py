from __future__ import annotations

import numpy as np
import pytest

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.emit import ROWS, TOKENS
from bebertlab.kernels.layout import aligned_zeros

BLOCKS, GROUPS, WORDS = 3, 2, 4


def case() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, tiles of weights, thresholds at counts that occur, and the counts (tokens, rows)."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 2**32, (BLOCKS, WORDS, TOKENS), dtype=np.uint32)
    weights = rng.integers(0, 2**32, (GROUPS * 4, WORDS, ROWS), dtype=np.uint32)
    by_token = inputs.transpose(0, 2, 1).reshape(-1, WORDS)
    by_row = weights.transpose(0, 2, 1).reshape(-1, WORDS)
    counts = np.bitwise_count(by_token[:, None] ^ by_row).sum(-1, dtype=np.int32)
    low = np.sort(counts, 0)[5]
    high = np.sort(counts, 0)[-9]
    return inputs, weights, np.stack([-low, high - low - 1], 1).astype(np.int32), counts


@pytest.mark.parametrize("suffix", ["below", "outside"])
def test_bits_over_rows(encoders: Kernels, suffix: str) -> None:
    inputs, weights, thresholds, counts = case()
    expected = counts < -thresholds[:, 0]
    if suffix == "outside":
        expected |= counts >= thresholds[:, 1] - thresholds[:, 0] + 1
    out = aligned_zeros((BLOCKS, GROUPS + 1, TOKENS), np.uint32)  # a spare word for each block
    addresses = (array.ctypes.data for array in (inputs, weights, thresholds, out))
    encoders.call(f"bits_{suffix}", *addresses, BLOCKS, GROUPS, WORDS, GROUPS + 1, 1)
    words = out.transpose(0, 2, 1).reshape(-1, GROUPS + 1)
    bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
    rows = np.arange(GROUPS * 32).reshape(GROUPS, 32)[:, ::-1].reshape(-1)  # the first row is in the highest bit
    np.testing.assert_array_equal(bits[:, : GROUPS * 32], expected[:, rows])
    assert not bits[:, GROUPS * 32 :].any()
    by_word = aligned_zeros((GROUPS, BLOCKS, TOKENS), np.uint32)
    addresses = (array.ctypes.data for array in (inputs, weights, thresholds, by_word))
    encoders.call(f"bits_{suffix}", *addresses, BLOCKS, GROUPS, WORDS, 1, BLOCKS)
    np.testing.assert_array_equal(by_word, out[:, :GROUPS].transpose(1, 0, 2))


@pytest.mark.parametrize("suffix", ["below", "outside"])
def test_bits_over_tokens(encoders: Kernels, suffix: str) -> None:
    inputs, weights, thresholds, counts = case()
    expected = counts < -thresholds[:, 0]
    if suffix == "outside":
        expected |= counts >= thresholds[:, 1] - thresholds[:, 0] + 1
    out = aligned_zeros((GROUPS * 4, 2, ROWS), np.uint32)
    addresses = (array.ctypes.data for array in (inputs, weights, thresholds, out))
    encoders.call(f"columns_{suffix}", *addresses, BLOCKS, GROUPS * 4, WORDS, 2)
    words = np.ascontiguousarray(out.transpose(0, 2, 1)).reshape(-1, 2)
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
    np.testing.assert_array_equal(bits[:, : BLOCKS * TOKENS], expected.T)
    assert not bits[:, BLOCKS * TOKENS :].any()
