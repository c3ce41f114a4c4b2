from __future__ import annotations

import numpy as np
import pytest

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.emit import ROWS, TOKENS
from bebertlab.kernels.emit_product import PRODUCT_PARAMETERS

CANARY = 0x5A5A5A5A


def guarded(words: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.full(words + 64, CANARY, np.uint32)


@pytest.mark.parametrize("result", ["integers", "floats"])
@pytest.mark.parametrize("combination", ["xor", "and"])
def test_products_write_their_result_only(products: Kernels, combination: str, result: str) -> None:
    blocks, tiles, words = 2, 9, 2
    inputs, weights = np.zeros((blocks, words, TOKENS), np.uint32), np.zeros((tiles, words, ROWS), np.uint32)
    by_token, rows = np.zeros((blocks, TOKENS), np.uint32), np.zeros((tiles * ROWS, 4), np.uint32)
    out = guarded(blocks * TOKENS * tiles * ROWS)
    values = dict.fromkeys(PRODUCT_PARAMETERS, 1) | {
        "inputs": inputs.ctypes.data,
        "terms": by_token.ctypes.data,
        "weights": weights.ctypes.data,
        "rows": rows.ctypes.data,
        "steps": by_token.ctypes.data,
        "offsets": by_token.ctypes.data,
        "out": out.ctypes.data,
        "stride": tiles * ROWS * 4,
        "blocks": blocks,
        "tiles": tiles,
        "words": words,
        "accumulate": 0,
    }
    products.call(f"product_{combination}_{result}", *values.values())
    assert not out[:-64].any()
    assert (out[-64:] == CANARY).all()


@pytest.mark.parametrize("tokens", [1, 16, 17])
def test_packing_writes_its_blocks_only(products: Kernels, tokens: int) -> None:
    words, planes, blocks = 2, 3, -(-tokens // TOKENS)
    levels = np.random.default_rng(tokens).integers(0, 8, (tokens, words * 32), dtype=np.uint8)
    out, sums = guarded(blocks * planes * words * TOKENS), guarded(blocks * TOKENS)
    products.call(
        "pack_levels", levels.ctypes.data, words * 32, tokens, words, planes, 0, 0, out.ctypes.data, sums.ctypes.data
    )
    packed = out[:-64].reshape(blocks, planes, words, TOKENS).transpose(0, 3, 1, 2).reshape(-1, planes, words)
    padded = levels[np.minimum(np.arange(blocks * TOKENS), tokens - 1)]  # the last token stands in for missing ones
    bits = (padded[:, None, :] >> np.arange(planes)[:, None]) & 1
    np.testing.assert_array_equal(np.ascontiguousarray(packed).view(np.uint8), np.packbits(bits, -1, bitorder="little"))
    np.testing.assert_array_equal(sums[:-64], padded.sum(1))
    assert (out[-64:] == CANARY).all()
    assert (sums[-64:] == CANARY).all()
