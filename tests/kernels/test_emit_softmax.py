from __future__ import annotations

import numpy as np
import pytest

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.emit import ROWS, TOKENS
from bebertlab.kernels.emit_attention import SUM_OFFSET
from bebertlab.kernels.emit_softmax import MASKED_SCORE, PROBABILITY_PARAMETERS, SCORE_PARAMETERS
from bebertlab.kernels.layout import aligned_zeros
from bebertlab.kernels.sentences import Queries, sentence_queries

HEADS = 2
STEP, FACTOR = np.float32(0.37), np.float32(0.22)
GUARD = 7.0  #: a number that is not a score


def words_by_token(bits: np.ndarray, head_words: int) -> np.ndarray:
    """(tokens, heads, head size) to (heads * head words, blocks * TOKENS), and a vector more."""
    tokens = -(-len(bits) // TOKENS) * TOKENS
    spread = np.pad(bits, ((0, tokens - len(bits)), (0, 0), (0, head_words * 32 - bits.shape[2])))
    words = np.packbits(spread, axis=2, bitorder="little").view(np.uint32).reshape(tokens, -1).T
    return np.append(np.ascontiguousarray(words).reshape(-1), np.zeros(TOKENS, np.uint32))


def bits_of_float(number: np.float32) -> int:
    return int(number.view(np.int32))


def values_by_key(v: np.ndarray, head_words: int, key_words: int) -> np.ndarray:
    spread = np.zeros((key_words * 32, HEADS, head_words * 32), np.uint8)
    spread[: len(v), :, : v.shape[2]] = v
    bits = np.packbits(spread.reshape(key_words * 32, -1), axis=0, bitorder="little").T
    words = np.ascontiguousarray(bits).view(np.uint32).reshape(-1, ROWS, key_words)
    return np.ascontiguousarray(words.transpose(0, 2, 1))


def sentence_of(lengths: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(lengths)), lengths)


def queries_of(lengths: list[int], first_token: bool) -> Queries:
    return sentence_queries(tuple(lengths))[int(first_token)]


LENGTHS = [[1], [16], [17, 3, 1, 1, 40, 32], [7] * 9, [5, 128]]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("head_size", "padding"), [(20, 0), (64, 0), (33, 1), (64, 30)])
@pytest.mark.parametrize("first_token", [False, True])
def test_scores_of_a_sentence_are_exact_and_padded(
    encoders: Kernels, lengths: list[int], head_size: int, padding: int, first_token: bool
) -> None:
    rng = np.random.default_rng(0)
    tokens, length, head_words = sum(lengths), max(lengths) + padding, -(-head_size // 32)
    queries = queries_of(lengths, first_token)
    k = rng.integers(0, 2, (tokens, HEADS, head_size), dtype=np.uint8)
    q = rng.integers(0, 2, (len(queries.numbers), HEADS, head_size), dtype=np.uint8)
    rows = len(q)
    scores = np.full((HEADS * rows + ROWS) * length + TOKENS, GUARD, np.float32)
    arrays = {
        "queries": words_by_token(q, head_words),
        "keys": words_by_token(k, head_words),
        "spans": queries.spans,
        "scores": scores,
    }
    sizes = {
        "sentences": len(lengths),
        "rows": rows,
        "row_length": length,
        "query_blocks": queries.blocks,
        "blocks": -(-tokens // TOKENS),
        "heads": HEADS,
        "head_size": head_size,
        "head_words": head_words,
        "score_step": bits_of_float(STEP),
        "score_factor": bits_of_float(FACTOR),
    }
    arguments = {name: array.ctypes.data for name, array in arrays.items()} | sizes
    encoders.call("score_keys", *(arguments[name] for name in SCORE_PARAMETERS))
    count = head_size - 2 * (q[:, None] != k).sum(-1).transpose(2, 0, 1)  # (heads, queries, keys)
    expected = np.full((HEADS, rows, length), MASKED_SCORE, np.float32)
    for row, token in enumerate(queries.numbers):
        keys = np.flatnonzero(sentence_of(lengths) == sentence_of(lengths)[token])
        expected[:, row, : len(keys)] = count[:, row, keys].astype(np.float32) * STEP * FACTOR
    np.testing.assert_array_equal(scores[: HEADS * rows * length].reshape(HEADS, rows, length), expected)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("head_size", "padding"), [(20, 0), (64, 1)])
@pytest.mark.parametrize("first_token", [False, True])
def test_contexts_of_probable_keys_are_exact(
    encoders: Kernels, lengths: list[int], head_size: int, padding: int, first_token: bool
) -> None:
    rng = np.random.default_rng(1)
    tokens, length, head_words = sum(lengths), max(lengths) + padding, -(-head_size // 32)
    queries, border = queries_of(lengths, first_token), np.float32(0.5)
    rows, key_words = len(queries.numbers), -(-tokens // 32)
    margin = tokens + 64
    probabilities = np.full((HEADS * rows + TOKENS) * length + 2 * margin, 1, np.float32)  # next to the rows, too
    p = rng.choice([0.0, 0.25, border, np.nextafter(border, np.float32(1)), 1.0], (HEADS, rows, length))
    p[:, 0] = 0  # a query that selects no key
    probabilities[margin : margin + p.size] = p.reshape(-1)
    v = rng.integers(0, 2, (tokens, HEADS, head_size), dtype=np.uint8)
    least = rng.integers(-3, 4, (HEADS, head_size))
    thresholds = np.zeros((HEADS, head_words * 32), np.int32)
    thresholds[:, :head_size] = least + SUM_OFFSET + 1
    out = aligned_zeros((queries.blocks, HEADS * head_words, TOKENS), np.uint32)
    arrays = {
        "starts": queries.starts,
        "values": values_by_key(v, head_words, key_words),
        "visible": queries.visible,
        "ranges": queries.ranges,
        "scratch": aligned_zeros((key_words, TOKENS), np.uint32),
        "out": out,
        "context_thresholds": thresholds,
    }
    sizes = {
        "probabilities": probabilities[margin:].ctypes.data,
        "border": bits_of_float(border),
        "rows": rows,
        "row_length": length,
        "query_blocks": queries.blocks,
        "heads": HEADS,
        "head_size": head_size,
        "head_words": head_words,
        "key_words": key_words,
        "out_words": HEADS * head_words,
    }
    arguments = {name: array.ctypes.data for name, array in arrays.items()} | sizes
    encoders.call("attend_probable", *(arguments[name] for name in PROBABILITY_PARAMETERS))
    expected = np.zeros((rows, HEADS, head_size), np.uint8)
    for row, token in enumerate(queries.numbers):
        keys = np.flatnonzero(sentence_of(lengths) == sentence_of(lengths)[token])
        selected = (p[:, row, : len(keys)] > border).astype(np.int64)  # (heads, keys)
        sums = np.einsum("hk,khd->hd", selected, 2 * v[keys].astype(np.int64) - 1)
        expected[row] = sums >= least
    words = np.ascontiguousarray(out.transpose(0, 2, 1)).reshape(-1, HEADS, head_words)
    bits = np.unpackbits(words.view(np.uint8), axis=2, bitorder="little")[:rows]
    np.testing.assert_array_equal(bits[:, :, :head_size], expected)
    assert not bits[:, :, head_size:].any()  # spare bits are neutral in the next product
