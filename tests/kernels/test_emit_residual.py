from __future__ import annotations

import numpy as np

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.emit import ROWS, TOKENS
from bebertlab.kernels.layout import aligned_zeros

BLOCKS, WORDS = 2, 2  # of 64 features
FEATURES = 50  # without padding
EPSILON = 1e-5
SCALES = np.dtype([("scale", "f4"), ("bias", "f4"), ("start", "i4")])
NORM = np.dtype([("gamma", "f8"), ("beta", "f8"), ("shift", "f4"), ("unused", "f4")])


def blocks_of(states: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(states.reshape(BLOCKS, TOKENS, -1).transpose(0, 2, 1))


def states_of(blocks: np.ndarray) -> np.ndarray:
    return blocks.transpose(0, 2, 1).reshape(BLOCKS * TOKENS, -1)


def bits_of(words: np.ndarray) -> np.ndarray:
    by_token = np.ascontiguousarray(states_of(words))
    return np.unpackbits(by_token.view(np.uint8), axis=1, bitorder="little")


def test_states_become_blocks_and_states_again(encoders: Kernels) -> None:
    rng = np.random.default_rng(0)
    states = rng.standard_normal((BLOCKS * TOKENS, WORDS * 32)).astype(np.float32)
    shifts = rng.standard_normal(WORDS * 32).astype(np.float32)
    states[:, 3], shifts[3] = -shifts[3], shifts[3]  # the sum is exactly 0
    states[:, 4], shifts[4] = -0.0, 0.0
    hidden, bits = aligned_zeros((BLOCKS, WORDS * 32, TOKENS), np.float32), aligned_zeros((BLOCKS, WORDS, TOKENS), "u4")
    addresses = (array.ctypes.data for array in (states, hidden, shifts, bits))
    encoders.call("load_hidden", *addresses, BLOCKS, WORDS)
    np.testing.assert_array_equal(hidden, blocks_of(states))
    np.testing.assert_array_equal(np.signbit(hidden), np.signbit(blocks_of(states)))
    np.testing.assert_array_equal(bits_of(bits), states + shifts >= 0)
    shifts = rng.standard_normal(WORDS * 32).astype(np.float32)
    encoders.call("pack_hidden", hidden.ctypes.data, shifts.ctypes.data, bits.ctypes.data, BLOCKS, WORDS)
    np.testing.assert_array_equal(bits_of(bits), states + shifts >= 0)
    out = np.empty_like(states)
    encoders.call("store_hidden", hidden.ctypes.data, out.ctypes.data, BLOCKS, WORDS)
    np.testing.assert_array_equal(out, states)


def test_tokens_are_selected(encoders: Kernels) -> None:
    states = np.arange(BLOCKS * TOKENS * 5, dtype=np.float32).reshape(-1, 5)
    blocks, tokens = blocks_of(states), np.array([31, 0, 16, 15, 15])
    out = np.zeros_like(blocks)
    addresses = (array.ctypes.data for array in (blocks, out, tokens))
    encoders.call("select_tokens", *addresses, len(tokens), 5)
    np.testing.assert_array_equal(states_of(out)[:5], states[tokens])
    assert not states_of(out)[5:].any()


def test_products_are_added_and_normalized(encoders: Kernels) -> None:
    rng = np.random.default_rng(1)
    columns, words = 100, 4
    inputs, weights = (rng.integers(0, 2, (rows, 128), dtype=np.uint8) for rows in (BLOCKS * TOKENS, 64))
    inputs[:, columns:] = weights[:, columns:] = weights[FEATURES:] = 0
    states = (10 + rng.standard_normal((BLOCKS * TOKENS, 64))).astype(np.float32)
    states[0], states[1, :FEATURES] = 0, 1e6 * states[1, :FEATURES]
    starts = columns + np.arange(FEATURES) % 3
    scales, norm = np.zeros(64, SCALES), np.zeros(64, NORM)
    for field, numbers in (("scale", rng.random(FEATURES)), ("bias", rng.random(FEATURES)), ("start", starts)):
        scales[field][:FEATURES] = numbers
    for field in ("gamma", "beta", "shift"):
        norm[field][:FEATURES] = rng.standard_normal(FEATURES)
    states[:, FEATURES:], norm["shift"][FEATURES:] = 0, -1

    differing = (inputs[:, None] != weights).sum(-1)
    count = np.pad(starts, (0, 64 - FEATURES)) - 2 * differing
    total = states + (count.astype(np.float32) * scales["scale"] + scales["bias"])
    wide = total[:, :FEATURES].astype(np.float64)
    mean = wide.sum(1, keepdims=True) / FEATURES
    inverse = 1 / np.sqrt((wide * wide).sum(1, keepdims=True) / FEATURES - mean * mean + EPSILON)
    expected = ((total - mean) * inverse * norm["gamma"] + norm["beta"]).astype(np.float32)

    hidden, out = blocks_of(states), aligned_zeros((BLOCKS, WORDS, TOKENS), np.uint32)
    tiles = np.packbits(weights, axis=1, bitorder="little").view(np.uint32).reshape(-1, ROWS, words).transpose(0, 2, 1)
    arrays = (
        blocks_of(np.packbits(inputs, axis=1, bitorder="little").view(np.uint32)),
        np.ascontiguousarray(tiles),
        scales,
    )
    epsilon = int(np.float64(EPSILON).view(np.int64))
    sizes = words, hidden.ctypes.data, norm.ctypes.data, FEATURES, epsilon, out.ctypes.data, BLOCKS, WORDS
    encoders.call("add_product", *(array.ctypes.data for array in arrays), *sizes)
    np.testing.assert_array_equal(states_of(hidden)[:, :FEATURES], expected[:, :FEATURES])
    np.testing.assert_array_equal(bits_of(out)[:, :FEATURES], (expected + norm["shift"])[:, :FEATURES] >= 0)
    assert not bits_of(out)[:, FEATURES:].any()  # neutral in the next product
    assert not states_of(hidden)[:, FEATURES:].any()
