from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.data import batches as module
from bebertlab.data.batches import (
    BatchPlan,
    Positions,
    batches,
    evaluation_tokens,
    group_for_evaluation,
    group_for_training,
    group_in_order,
)
from bebertlab.data.examples import Examples
from bebertlab.data.tokens import Tokens

lengths_lists = st.lists(st.integers(1, 40), min_size=1, max_size=300)


def examples_of(lengths: list[int]) -> Examples:
    """Example n has the tokens 1000 n + 1, 1000 n + 2 ..."""
    sizes = np.array(lengths, dtype=np.int64)
    rows = [1000 * n + 1 + np.arange(length) for n, length in enumerate(lengths)]
    ids = np.concatenate(rows).astype(np.int32)
    tokens = Tokens(ids=ids, segments=(ids % 2).astype(np.int8), lengths=sizes, offsets=np.cumsum(sizes) - sizes)
    return Examples(tokens=tokens, labels=torch.arange(len(lengths)))


def train_grouping(lengths: list[int], batch_size: int = 8, seed: int = 0) -> BatchPlan:
    sizes = np.array(lengths)
    return group_for_training(sizes, np.arange(len(lengths)), batch_size, np.random.default_rng(seed))


def test_an_order_may_be_given() -> None:
    plan = group_in_order(np.array([5, 0, 3, 3, 1]), 2)
    positions = [batch.positions.tolist() for batch in batches(examples_of([3, 1, 2, 5, 4, 2]), plan)]
    assert positions == [[5, 0], [3, 3], [1]]
    assert [batch.tolist() for batch in np.split(plan.order, plan.bounds[1:-1])] == positions


@given(lengths_lists, st.integers(1, 9))
def test_an_epoch_contains_every_drawn_example_once_in_full_batches(lengths: list[int], batch_size: int) -> None:
    plan = train_grouping(lengths, batch_size)
    assert sorted(plan.order.tolist()) == list(range(len(lengths)))
    sizes = np.diff(plan.bounds)
    assert len(plan) == len(sizes) == -(-len(lengths) // batch_size)
    assert (sizes == batch_size).sum() >= len(sizes) - 1
    assert sizes.min() >= 1


def test_batches_contain_examples_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(3, 40, 2000).tolist()
    plan = train_grouping(lengths, 16)
    spans = [np.ptp(np.array(lengths)[piece]) for piece in np.split(plan.order, plan.bounds[1:-1])]
    assert np.mean(spans) < 2  # of 37; shuffled batches of 16 span about 33


def test_the_order_is_that_of_the_seed() -> None:
    lengths = [5] * 64
    assert np.array_equal(train_grouping(lengths, seed=1).order, train_grouping(lengths, seed=1).order)
    assert not np.array_equal(train_grouping(lengths, seed=1).order, train_grouping(lengths, seed=2).order)


def test_batches_are_composed_differently_in_every_epoch() -> None:
    groupings = [train_grouping([5] * 64, seed=seed) for seed in (1, 2)]
    meetings = [{tuple(sorted(part)) for part in np.split(item.order, item.bounds[1:-1])} for item in groupings]
    assert not meetings[0] & meetings[1]


def test_the_incomplete_batch_is_not_always_the_longest() -> None:
    lengths = list(range(1, 38))
    widths = set()
    for seed in range(20):
        plan = train_grouping(lengths, 8, seed)
        small = int(np.argmin(np.diff(plan.bounds)))
        widths.add(int(max(np.array(lengths)[plan.order[plan.bounds[small] : plan.bounds[small + 1]]])))
    assert len(widths) > 2


@given(lengths_lists)
def test_evaluation_has_every_example_once_within_the_budget(lengths: list[int]) -> None:
    plan = group_for_evaluation(np.array(lengths), 1024)
    assert sorted(plan.order.tolist()) == list(range(len(lengths)))
    widths = np.array(lengths)[plan.order]
    assert (np.diff(widths) <= 0).all()
    for size, first in zip(np.diff(plan.bounds), plan.bounds, strict=False):
        assert size * widths[first] <= 1024


def test_a_gpu_has_a_different_budget_and_narrow_models_a_larger_one() -> None:
    assert evaluation_tokens(64, "cuda") == evaluation_tokens(3072, "cuda") > evaluation_tokens(64)
    assert evaluation_tokens(64) > evaluation_tokens(128) > evaluation_tokens(768) == evaluation_tokens(3072)


def test_an_example_over_the_budget_is_a_batch_by_itself() -> None:
    assert np.diff(group_for_evaluation(np.array([5000, 3]), 1024).bounds).tolist() == [1, 1]


@given(lengths_lists, st.integers(1, 9))
def test_batches_are_the_examples_padded_to_the_longest(lengths: list[int], batch_size: int) -> None:
    examples = examples_of(lengths)
    weights = torch.arange(len(lengths)) / 2
    plan = train_grouping(lengths, batch_size)
    seen: list[int] = []
    for batch in batches(examples, plan, weights=weights):
        assert batch.mask.dtype is torch.bool
        assert batch.tokens.shape[1] == max(lengths[n] for n in batch.positions)
        assert batch.labels.tolist() == batch.positions.tolist()
        assert batch.weights is not None
        assert torch.equal(batch.weights, batch.positions / 2)
        for row, n in enumerate(batch.positions.tolist()):
            real = [1000 * n + 1 + i for i in range(lengths[n])]
            padding = [0] * (batch.tokens.shape[1] - lengths[n])
            assert batch.tokens[row].tolist() == real + padding
            assert batch.segments[row].tolist() == [item % 2 for item in real] + padding
            assert batch.mask[row].tolist() == [True] * len(real) + [False] * len(padding)
        seen += batch.positions.tolist()
    assert seen == plan.order.tolist()


def test_the_pool_size_does_not_change_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    examples, plan = examples_of(list(range(1, 100))), train_grouping(list(range(1, 100)), 4)
    whole = [batch.tokens for batch in batches(examples, plan)]
    monkeypatch.setattr(module, "POOL", 3)
    pieces = [batch.tokens for batch in batches(examples, plan)]
    assert all(torch.equal(a, b) for a, b in zip(whole, pieces, strict=True))


def test_an_example_drawn_twice_occurs_twice() -> None:
    drawn: Positions = np.array([1, 1, 0])
    plan = group_for_training(np.array([3, 4]), drawn, 2, np.random.default_rng(0))
    positions = [n for batch in batches(examples_of([3, 4]), plan) for n in batch.positions.tolist()]
    assert sorted(positions) == [0, 1, 1]


@given(lengths_lists, st.integers(1, 400))
def test_the_cheapest_batches_are_batches_of_the_plan(lengths: list[int], examples: int) -> None:
    sizes = np.array(lengths)
    plan = group_for_evaluation(sizes, 60)
    part = plan.cheapest(sizes, examples)
    whole = [tuple(batch) for batch in np.split(plan.order, plan.bounds[1:-1])]
    chosen = [tuple(batch) for batch in np.split(part.order, part.bounds[1:-1])]
    assert [batch for batch in whole if batch in set(chosen)] == chosen
    assert len(part.order) >= min(examples, len(lengths))
    tokens = {batch: len(batch) * int(sizes[list(batch)].max()) for batch in whole}
    others = [tokens[batch] for batch in whole if batch not in set(chosen)]
    dearest = max(chosen, key=lambda batch: tokens[batch])
    assert all(tokens[dearest] <= other for other in others)
    # no batch more than is needed
    assert len(part.order) - max(len(batch) for batch in chosen if tokens[batch] == tokens[dearest]) < examples
