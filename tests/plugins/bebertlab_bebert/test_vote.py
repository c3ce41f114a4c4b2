from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bebertlab.errors import UserError
from bebertlab.testing.ensemble import check_merger
from bebertlab_bebert.vote import HardVote, HardVoteOptions

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize("classes", [2, 3])
def test_keeps_the_contract(classes: int) -> None:
    check_merger(HardVoteOptions(), classes)
    check_merger(HardVoteOptions(tie="lowest_class"), classes)


def test_counts_weighted_votes() -> None:
    logits = np.array([[[9.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]])
    assert HardVote().merge(logits, np.array([1.0, 1.0, 2.0])) == pytest.approx(np.array([[0.25, 0.75]]))


def test_of_two_members_the_heavier_one_decides() -> None:
    logits = np.random.default_rng(0).standard_normal((2, 50, 3))
    merged = HardVote().merge(logits, np.array([1.0, 1.1]))
    assert (merged.argmax(axis=1) == logits[1].argmax(axis=1)).all()
    assert (merged.argmax(axis=1) != logits[0].argmax(axis=1)).any()


def test_a_tie_goes_to_the_larger_probability_then_to_the_lower_class() -> None:
    sure, unsure = [0.0, 5.0], [1.0, 0.0]
    weights = np.array([0.1 + 0.2, 0.3])  # tied up to rounding
    assert HardVote().merge(np.array([[unsure], [sure]]), weights).argmax() == 1
    assert HardVote().merge(np.array([[sure[::-1]], [unsure[::-1]]]), weights).argmax() == 0
    assert HardVote().merge(np.array([[[0.0, 2.0]], [[2.0, 0.0]]]), np.ones(2)).argmax() == 0


def test_regression_is_refused_with_what_would_be_right() -> None:
    with pytest.raises(UserError, match=r"'hard_vote' needs classes.*use weighted_median"):
        HardVoteOptions().build(1)


def test_a_tie_goes_to_the_lower_class_on_demand() -> None:
    lowest = HardVoteOptions(tie="lowest_class").build(2)
    assert lowest.merge(np.array([[[1.0, 0.0]], [[0.0, 5.0]]]), np.array([0.1 + 0.2, 0.3])).argmax() == 0
    assert lowest.merge(np.array([[[1.0, 0.0]], [[0.0, 5.0]]]), np.array([0.3, 0.1 + 0.2])).argmax() == 0
