from __future__ import annotations

import math

import numpy as np
import pytest

from bebertlab.errors import UserError
from bebertlab.inference.cascade import (
    ALL_MEMBERS,
    MemberLogits,
    Positions,
    Vote,
    ask_members,
    check_cascade,
    choose_margin,
)
from bebertlab.interfaces.ensemble import Floats, MergerOptions
from bebertlab.interfaces.task import Scores
from bebertlab_bebert.merging import (
    HardVoteOptions,
    MeanProbabilityOptions,
    WeightedMeanOptions,
    WeightedMedianOptions,
    WeightedProbabilityOptions,
)

RULES = (WeightedProbabilityOptions(), MeanProbabilityOptions(), WeightedMeanOptions())


def log_odds(*probabilities: float) -> Floats:
    """Logits (N, 2) of the probabilities of the second class."""
    shares = np.array(probabilities)
    return np.stack([np.zeros(len(shares)), np.log(shares / (1 - shares))], 1)


class Recorded:
    """The logits of members, and the positions that each was asked for."""

    def __init__(self, logits: Floats) -> None:
        self.logits = logits
        self.asked: list[list[int]] = [[] for _ in logits]

    def members(self) -> list[MemberLogits]:
        return [self._member(index) for index in range(len(self.logits))]

    def _member(self, index: int) -> MemberLogits:
        def answer(positions: Positions) -> Floats:
            self.asked[index] += positions.tolist()
            values: Floats = self.logits[index, positions]
            return values

        return answer


@pytest.fixture
def logits() -> Floats:
    """(3, 50, 4)"""
    return np.random.default_rng(0).normal(0, 2, (3, 50, 4))


def test_the_next_member_is_asked_where_the_margin_is_small() -> None:
    """Margins of the first member are 0.8, 0.2, 0.4; the weights are 3 and 1."""
    recorded = Recorded(np.stack([log_odds(0.9, 0.6, 0.3), log_odds(0.1, 0.2, 0.1)]))
    vote = Vote.of(WeightedProbabilityOptions(), [3.0, 1.0], 2)
    answers = ask_members(recorded.members(), vote, 3, 0.3)
    assert recorded.asked == [[0, 1, 2], [1]]
    assert answers.members.tolist() == [1, 2, 1]
    assert answers.scores[:, 1] == pytest.approx([0.9, (3 * 0.6 + 0.2) / 4, 0.3])


@pytest.mark.parametrize("margin", [0.2, 0.2000001])
def test_a_margin_that_is_reached_is_enough(margin: float) -> None:
    recorded = Recorded(np.stack([log_odds(0.6), log_odds(0.1)]))
    shares = log_odds(0.6)
    vote = Vote.of(MeanProbabilityOptions(), [1.0, 1.0], 2)
    exact = float(vote.margins(vote.merge(shares[None]))[0])
    answers = ask_members(recorded.members(), vote, 1, exact + (margin - 0.2))
    assert answers.members.tolist() == [1 if margin == 0.2 else 2]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_an_infinite_margin_gives_the_scores_of_the_ensemble_to_the_bit(rule: MergerOptions, logits: Floats) -> None:
    weights = [0.7, 1.3, 0.1]
    vote = Vote.of(rule, weights, 4)
    answers = ask_members(Recorded(logits).members(), vote, 50, ALL_MEMBERS)
    assert np.array_equal(answers.scores, rule.build(4).merge(logits, np.array(weights)))
    assert set(answers.members.tolist()) == {3}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_each_sentence_has_the_merged_scores_of_those_that_were_asked(rule: MergerOptions, logits: Floats) -> None:
    vote = Vote.of(rule, [0.7, 1.3, 0.1], 4)
    answers = ask_members(Recorded(logits).members(), vote, 50, 0.5)
    assert set(answers.members.tolist()) == {1, 2, 3}
    for position, count in enumerate(answers.members):
        expected = vote.merge(logits[:count, position : position + 1])[0]
        np.testing.assert_allclose(answers.scores[position], expected, rtol=1e-12)


def test_members_without_weight_decide_nothing() -> None:
    recorded = Recorded(np.stack([log_odds(0.99), log_odds(0.9), log_odds(0.2)]))
    vote = Vote.of(WeightedProbabilityOptions(), [0.0, 1.0, 1.0], 2)
    answers = ask_members(recorded.members(), vote, 1, 0.5)
    assert (answers.members.tolist(), answers.scores[0, 1]) == ([2], pytest.approx(0.9))


def test_margins_that_are_not_numbers_are_uncertain() -> None:
    recorded = Recorded(np.stack([np.full((1, 2), math.nan), log_odds(0.9)]))
    answers = ask_members(recorded.members(), Vote.of(MeanProbabilityOptions(), [1.0, 1.0], 2), 1, 0.5)
    assert answers.members.tolist() == [2]


def test_the_margin_is_the_smallest_with_the_score_of_all_members() -> None:
    """The first member is wrong with margins of 0.1 and 0.3; the second corrects both."""
    logits = np.stack([log_odds(0.55, 0.65, 0.8, 0.95), log_odds(0.01, 0.01, 0.8, 0.8)])
    labels = np.array([0, 0, 1, 1])
    vote = Vote.of(MeanProbabilityOptions(), [1.0, 1.0], 2)

    def accuracy(scores: Scores) -> float:
        return 100 * float((scores.argmax(1) == labels).mean())

    choice = choose_margin(logits, vote, accuracy, 0.1)
    assert choice.margin == pytest.approx(0.3001)
    assert (choice.score, choice.full_score, choice.shares) == (100, 100, (1.0, 0.5))
    assert choose_margin(logits, vote, accuracy, 25).shares == (1.0, 0.25)
    assert choose_margin(logits, vote, accuracy, 50).margin == 0


def test_all_members_are_asked_where_the_score_needs_it() -> None:
    logits = np.stack([log_odds(0.9, 0.9999), log_odds(0.01, 0.00001)])
    vote = Vote.of(WeightedMeanOptions(), [1.0, 1.0], 2)
    choice = choose_margin(logits, vote, lambda scores: 100 * float((scores.argmax(1) == 0).mean()), 0)
    assert (choice.score, choice.shares) == (100, (1.0, 1.0))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_rules_of_probabilities_have_cascades(rule: MergerOptions) -> None:
    check_cascade(rule, 3)


@pytest.mark.parametrize(
    ("rule", "classes", "message"),
    [
        (HardVoteOptions(), 2, "the rule 'hard_vote' counts votes; merge the members by weighted_probability"),
        (WeightedMedianOptions(), 1, "a cascade needs classes, and the model is a regression"),
    ],
)
def test_other_rules_are_refused(rule: MergerOptions, classes: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_cascade(rule, classes)
