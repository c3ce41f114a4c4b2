from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bebertlab.errors import UserError
from bebertlab.testing.merger import check_merger
from bebertlab_bebert.vote import HardVote, HardVoteOptions

if TYPE_CHECKING:
    from tests.conftest import Golden


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


@pytest.mark.parametrize("name", ["vote_binary", "vote_three_class", "bagging_vote"])
def test_matches_the_votes_of_the_reference(golden: Callable[[str], Golden], name: str) -> None:
    tensors = golden("boosting").tensors
    logits = tensors[f"combine.{name}/logits"].double().numpy()
    weights = tensors.get(f"combine.{name}/alpha")
    merged = (
        HardVoteOptions(tie="lowest_class")
        .build(logits.shape[2])
        .merge(logits, np.ones(len(logits)) if weights is None else weights.double().numpy())
    )
    assert (merged.argmax(axis=1) == tensors[f"combine.{name}/votes"].numpy()).all()


@pytest.mark.parametrize("name", ["vote_binary", "bagging_vote"])
def test_differs_from_the_reference_in_ties_only(golden: Callable[[str], Golden], name: str) -> None:
    tensors = golden("boosting").tensors
    logits, expected = (tensors[f"combine.{name}/{field}"].double().numpy() for field in ("logits", "votes"))
    votes = np.eye(logits.shape[2])[logits.argmax(axis=2)].sum(axis=0)
    tied = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    merged = HardVote().merge(logits, np.ones(len(logits))).argmax(axis=1)
    assert (merged[~tied] == expected[~tied]).all()
    assert (merged[tied] != expected[tied]).any()
    assert (votes[np.arange(len(votes)), merged] == votes.max(axis=1)).all()  # one of the tied
