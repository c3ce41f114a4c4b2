from __future__ import annotations

import numpy as np
import pytest

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.emit import ROWS, TOKENS
from bebertlab.kernels.emit_attention import ATTENTION_PARAMETERS, SUM_OFFSET
from bebertlab.kernels.layout import aligned_zeros

HEADS = 2


def packed_words(bits: np.ndarray, head_words: int) -> np.ndarray:
    """(tokens, heads, head size) to (blocks, heads * head words, TOKENS)."""
    spread = np.pad(bits, ((0, 0), (0, 0), (0, head_words * 32 - bits.shape[2])))
    words = np.packbits(spread, axis=2, bitorder="little").view(np.uint32)
    return np.ascontiguousarray(words.reshape(-1, TOKENS, HEADS * head_words).transpose(0, 2, 1))


def run(
    kernels: Kernels,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    visible: np.ndarray,
    limit: int,
    least: np.ndarray | None = None,
) -> np.ndarray:
    """Bits (queries, heads, head size) of the context; `visible` (queries, keys); `least` sums (heads, head size)."""
    queries, _, head_size = q.shape
    head_words, key_words = -(-head_size // 32), len(k) // 32
    spread = np.zeros((len(v), HEADS, head_words * 32), np.uint8)
    spread[:, :, :head_size] = v
    values = np.packbits(spread.reshape(len(v), -1), axis=0, bitorder="little").T
    tiles = np.ascontiguousarray(values).view(np.uint32).reshape(-1, ROWS, key_words).transpose(0, 2, 1)
    seen = np.packbits(visible, axis=1, bitorder="little").view(np.uint32).reshape(-1, TOKENS, key_words)
    arrays = {
        "queries": packed_words(q, head_words),
        "keys": packed_words(k, head_words),
        "values": np.ascontiguousarray(tiles),
        "visible": np.ascontiguousarray(seen.transpose(0, 2, 1)),
        "ranges": np.tile(np.array([0, key_words]), (queries // TOKENS, 1)),
        "scratch": aligned_zeros((key_words, TOKENS), np.uint32),
        "out": aligned_zeros((queries // TOKENS, HEADS * head_words, TOKENS), np.uint32),
    }
    sizes = {
        "query_blocks": queries // TOKENS,
        "heads": HEADS,
        "head_size": head_size,
        "head_words": head_words,
        "key_words": key_words,
        "out_words": HEADS * head_words,
        "limit": limit,
        "context_thresholds": 0,
    }
    if least is not None:
        thresholds = np.zeros((HEADS, head_words * 32), np.int32)
        thresholds[:, :head_size] = least + SUM_OFFSET + 1
        del sizes["context_thresholds"]
        arrays["context_thresholds"] = thresholds
    arguments = {name: array.ctypes.data for name, array in arrays.items()} | sizes
    kernels.call("attend" if least is None else "attend_above", *(arguments[name] for name in ATTENTION_PARAMETERS))
    words = np.ascontiguousarray(arrays["out"].transpose(0, 2, 1)).reshape(queries, HEADS, head_words)
    bits: np.ndarray = np.unpackbits(words.view(np.uint8), axis=2, bitorder="little")
    assert not bits[:, :, head_size:].any()  # spare bits are neutral in the next product
    return bits[:, :, :head_size]


def reference(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, visible: np.ndarray, limit: int, least: np.ndarray | int = 0
) -> np.ndarray:
    differing = (q[:, None] != k[None]).sum(-1)  # (queries, keys, heads)
    selected = (differing < limit) & visible[:, :, None]
    sums = np.einsum("qkh,khd->qhd", selected.astype(np.int64), 2 * v.astype(np.int64) - 1)
    bits: np.ndarray = (sums >= least).astype(np.uint8)
    return bits


@pytest.mark.parametrize("head_size", [1, 20, 32, 64, 96, 128])
@pytest.mark.parametrize("mask", ["random", "none", "one", "all"])
def test_contexts_are_exact(encoders: Kernels, head_size: int, mask: str) -> None:
    rng = np.random.default_rng(head_size)
    q, k, v = (rng.integers(0, 2, (tokens, HEADS, head_size), dtype=np.uint8) for tokens in (32, 96, 96))
    visible = rng.integers(0, 2, (32, 96), dtype=np.uint8)
    if mask != "random":
        visible[:] = mask == "all"
    if mask == "one":
        visible[:, 37] = 1
    for limit in (head_size // 2 + 1, (head_size + 1) // 2, 0, head_size + 1):
        np.testing.assert_array_equal(run(encoders, q, k, v, visible, limit), reference(q, k, v, visible, limit))


def test_ties_are_positive(encoders: Kernels) -> None:
    q = np.zeros((16, HEADS, 4), np.uint8)
    k = np.zeros((32, HEADS, 4), np.uint8)
    v = np.arange(32, dtype=np.uint8)[:, None, None] % 2 * np.ones((1, HEADS, 4), np.uint8)
    assert run(encoders, q, k, v, np.ones((16, 32), np.uint8), 2).all()  # 16 values of each sign
    v[1] = 0
    assert not run(encoders, q, k, v, np.ones((16, 32), np.uint8), 2).any()


@pytest.mark.parametrize("head_size", [20, 64])
def test_sums_are_compared_with_the_threshold_of_each_feature(encoders: Kernels, head_size: int) -> None:
    rng = np.random.default_rng(head_size)
    q, k, v = (rng.integers(0, 2, (tokens, HEADS, head_size), dtype=np.uint8) for tokens in (32, 96, 96))
    visible = rng.integers(0, 2, (32, 96), dtype=np.uint8)
    visible[5] = 0  # a sum of no keys
    least = rng.integers(-6, 7, (HEADS, head_size))
    least[0, :4] = -(2**24), 2**24 + 1, -96, 97  # always, never
    limit = head_size // 2
    bits = run(encoders, q, k, v, visible, limit, least)
    np.testing.assert_array_equal(bits, reference(q, k, v, visible, limit, least))
    assert bits[:, 0, 0].all()
    assert not bits[:, 0, 1].any()
