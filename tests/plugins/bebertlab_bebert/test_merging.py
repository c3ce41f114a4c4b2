"""Mergers by hand, and by their contract."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.testing.ensemble import check_merger
from bebertlab_bebert.merging import (
    HardVote,
    HardVoteOptions,
    MeanProbabilityOptions,
    WeightedMean,
    WeightedMeanOptions,
    WeightedMedian,
    WeightedMedianOptions,
    WeightedProbabilityOptions,
    softmax,
)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_the_mean_keeps_the_contract(classes: int) -> None:
    check_merger(WeightedMeanOptions(), classes)


def test_the_median_keeps_the_contract() -> None:
    check_merger(WeightedMedianOptions(), 1)


def test_the_mean_matches_manual_calculation() -> None:
    assert WeightedMean().merge(np.array([[[1.0]], [[5.0]]]), np.array([3.0, 1.0])).tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([1, 1, 1], 2.0), ([5, 1, 1], 1.0), ([1, 1, 5], 9.0), ([2, 1, 1], 1.0), ([1, 1, 2], 2.0)],
)
def test_the_median_matches_manual_calculation(weights: list[float], expected: float) -> None:
    values = np.array([1.0, 2.0, 9.0])
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        merged = WeightedMedian().merge(values[order][:, None, None], np.array(weights, dtype=float)[order])
        assert merged.tolist() == [[expected]]


members = st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 9)), min_size=1, max_size=7)


@given(members)
def test_the_median_is_that_of_members_repeated_by_weight(members: list[tuple[float, int]]) -> None:
    repeated = sorted(value for value, weight in members for _ in range(weight))
    lower_median = repeated[(len(repeated) - 1) // 2]
    values, weights = (np.array(column, dtype=float) for column in zip(*members, strict=True))
    assert WeightedMedian().merge(values[:, None, None], weights).item() == lower_median


def test_the_median_of_classes_is_refused() -> None:
    with pytest.raises(UserError, match="'weighted_median' is for regression and the task has 3 classes"):
        WeightedMedianOptions().build(3)


RULES = [MeanProbabilityOptions(), WeightedProbabilityOptions()]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_mean_probabilities_keep_the_contract(rule: MergerOptions, classes: int) -> None:
    check_merger(rule, classes)


def test_mean_probabilities_match_manual_calculation() -> None:
    logits = np.log(np.array([[[0.2, 0.8]], [[0.6, 0.4]]]))
    weights = np.array([3.0, 1.0])
    assert MeanProbabilityOptions().build(2).merge(logits, weights) == pytest.approx(np.array([[0.4, 0.6]]))
    assert WeightedProbabilityOptions().build(2).merge(logits, weights) == pytest.approx(np.array([[0.3, 0.7]]))


def test_a_lighter_member_can_win_if_it_is_confident() -> None:
    """Unlike in a hard vote of two members."""
    logits = np.array([[[0.1, 0.0]], [[0.0, 5.0]]])
    assert WeightedProbabilityOptions().build(2).merge(logits, np.array([1.1, 1.0])).argmax() == 1


def test_members_with_larger_logits_do_not_dominate() -> None:
    """Unlike in a sum of logits."""
    logits = np.array([[[50.0, 0.0]], [[0.0, 2.0]], [[0.0, 2.0]]])
    assert logits.sum(axis=0).argmax() == 0
    assert MeanProbabilityOptions().build(2).merge(logits, np.ones(3)).argmax() == 1


def test_large_logits_do_not_overflow() -> None:
    assert softmax(np.array([1e4, 0.0])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_probabilities_of_a_regression_are_refused(rule: MergerOptions) -> None:
    with pytest.raises(UserError, match="use weighted_median or weighted_mean"):
        rule.build(1)


@pytest.mark.parametrize("classes", [2, 3])
def test_votes_keep_the_contract(classes: int) -> None:
    check_merger(HardVoteOptions(), classes)
    check_merger(HardVoteOptions(tie="lowest_class"), classes)


def test_counts_weighted_votes() -> None:
    logits = np.array([[[9.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]])
    assert HardVote().merge(logits, np.array([1.0, 1.0, 2.0])) == pytest.approx(np.array([[0.25, 0.75]]))


def test_the_heavier_of_two_members_wins() -> None:
    logits = np.random.default_rng(0).standard_normal((2, 50, 3))
    merged = HardVote().merge(logits, np.array([1.0, 1.1]))
    assert (merged.argmax(axis=1) == logits[1].argmax(axis=1)).all()
    assert (merged.argmax(axis=1) != logits[0].argmax(axis=1)).any()


def test_ties_go_to_the_larger_probability_then_to_the_lower_class() -> None:
    sure, unsure = [0.0, 5.0], [1.0, 0.0]
    weights = np.array([0.1 + 0.2, 0.3])  # tied up to rounding
    assert HardVote().merge(np.array([[unsure], [sure]]), weights).argmax() == 1
    assert HardVote().merge(np.array([[sure[::-1]], [unsure[::-1]]]), weights).argmax() == 0
    assert HardVote().merge(np.array([[[0.0, 2.0]], [[2.0, 0.0]]]), np.ones(2)).argmax() == 0


def test_votes_on_a_regression_are_refused() -> None:
    with pytest.raises(UserError, match=r"'hard_vote' needs classes.*use weighted_median"):
        HardVoteOptions().build(1)


def test_ties_go_to_the_lower_class_where_configured() -> None:
    lowest = HardVoteOptions(tie="lowest_class").build(2)
    assert lowest.merge(np.array([[[1.0, 0.0]], [[0.0, 5.0]]]), np.array([0.1 + 0.2, 0.3])).argmax() == 0
    assert lowest.merge(np.array([[[1.0, 0.0]], [[0.0, 5.0]]]), np.array([0.3, 0.1 + 0.2])).argmax() == 0
