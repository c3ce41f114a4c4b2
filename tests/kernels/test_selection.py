from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.kernels.emit import TOKENS
from bebertlab.kernels.selection import LONGEST_ROW, Doubts, FloatArray, SoftmaxSelection
from bebertlab.kernels.sentences import sentence_queries


def selection(step: float = 0.7, factor: float = 0.3, border: float = 0.04) -> SoftmaxSelection:
    return SoftmaxSelection(step=np.float32(step), factor=np.float32(factor), border=np.float32(border))


def torch_softmax(scores: FloatArray, probabilities: FloatArray) -> None:
    probabilities[:] = torch.from_numpy(scores).softmax(-1).numpy()


@given(
    counts=st.lists(st.integers(0, 64), min_size=1, max_size=LONGEST_ROW),
    step=st.floats(0.1, 2),
    rank=st.integers(0, LONGEST_ROW),
    digits=st.integers(-300, 300),
)
def test_sums_decide_as_the_softmax_does(counts: list[int], step: float, rank: int, digits: int) -> None:
    """Also where the border is next to the probability of a key."""
    every = np.array(counts)
    chosen = selection(step)
    probabilities = torch.from_numpy(chosen.scores(every, 64)).softmax(-1).numpy()
    probability = probabilities[rank % len(counts)]
    if probability < 2.0**-100:
        return
    chosen = selection(step, border=float(probability * np.float32(1 + digits * 2.0**-23)))
    limits = chosen.sum_limits(64)
    assert limits is not None
    exponents = every.astype(np.float32) * -chosen.exponent
    total = np.exp2(exponents.astype(np.float64)).sum().astype(np.float32)
    selected = probabilities >= chosen.border
    assert selected[total <= limits[every, 0]].all()
    assert not selected[total > limits[every, 1]].any()
    assert (np.diff(limits, axis=0) < 0).all()
    assert (limits[:, 0] < limits[:, 1]).all()


def test_few_sums_are_in_doubt() -> None:
    limits = selection().sum_limits(64)
    assert limits is not None
    assert (limits[:, 1] / limits[:, 0] < 1 + 1e-4).all()
    assert (limits[:-1, 0] > 1.5 * limits[1:, 1]).all()


@pytest.mark.parametrize("step", [1e-5, 1e-4, 3.0, 1e4])
def test_scores_that_are_close_or_large_are_not_decided_by_sums(step: float) -> None:
    assert selection(step).sum_limits(64) is None


def test_a_border_of_almost_zero_selects_all() -> None:
    limits = selection(border=1e-45).sum_limits(64)
    assert limits is not None
    assert (limits > LONGEST_ROW).all()


@pytest.mark.parametrize("lengths", [[1], [40], [17, 3, 1, 1, 40, 32]])
@pytest.mark.parametrize("first_token", [False, True])
@pytest.mark.parametrize("border", [0.0625, 1.0, 0.2])
def test_doubts_are_settled_by_the_softmax(lengths: list[int], first_token: bool, border: float) -> None:
    rng = np.random.default_rng(0)
    heads, head_words, row_length = 3, 2, max(lengths) + 5
    queries = sentence_queries(tuple(lengths))[int(first_token)]
    blocks = -(-sum(lengths) // TOKENS)
    keys, by_query = (
        rng.integers(0, 2**32, (heads, head_words, count * TOKENS), dtype=np.uint32)
        for count in (blocks, queries.blocks)
    )
    keys &= keys[:, :, :1] | 0xFF  # similar to each other
    chosen, count = selection(step=0.3, border=border), len(queries.numbers)
    in_doubt = rng.random((heads, count)) < 0.7
    lanes = np.zeros((heads, queries.blocks), np.uint32)
    for head, number in zip(*np.nonzero(in_doubt), strict=True):
        lanes[head, number // TOKENS] |= np.uint32(1 << number % TOKENS)
    limits = np.full((heads, queries.blocks * TOKENS), 7, np.int32)
    doubts = Doubts(queries=by_query, keys=keys, lanes=lanes)
    doubts.settle(limits, queries.spans, chosen, torch_softmax, (64, row_length))
    ends = np.cumsum(lengths)
    for head in range(heads):
        for number, token in enumerate(queries.numbers):
            if not in_doubt[head, number]:
                assert limits[head, number] == 7
                continue
            sentence = int(np.searchsorted(ends, token, side="right"))
            own = slice(ends[sentence] - lengths[sentence], ends[sentence])
            counts = np.bitwise_count(keys[head, :, own] ^ by_query[head, :, number, None]).sum(0, dtype=np.int32)
            row = np.full(row_length, -10_000, np.float32)
            row[: len(counts)] = chosen.scores(counts, 64)
            expected = torch.from_numpy(row).softmax(-1).numpy()[: len(counts)] >= chosen.border
            np.testing.assert_array_equal(counts < -limits[head, number], expected)
    assert (limits[:, count:] == 7).all()
