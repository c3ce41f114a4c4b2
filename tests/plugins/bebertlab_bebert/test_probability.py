from __future__ import annotations

import numpy as np
import pytest

from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.testing.ensemble import check_merger
from bebertlab_bebert.probability import MeanProbabilityOptions, WeightedProbabilityOptions, softmax

RULES = [MeanProbabilityOptions(), WeightedProbabilityOptions()]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_keeps_the_contract(rule: MergerOptions, classes: int) -> None:
    check_merger(rule, classes)


def test_averages_by_hand() -> None:
    logits = np.log(np.array([[[0.2, 0.8]], [[0.6, 0.4]]]))
    weights = np.array([3.0, 1.0])
    assert MeanProbabilityOptions().build(2).merge(logits, weights) == pytest.approx(np.array([[0.4, 0.6]]))
    assert WeightedProbabilityOptions().build(2).merge(logits, weights) == pytest.approx(np.array([[0.3, 0.7]]))


def test_a_lighter_member_can_win_if_it_is_sure() -> None:
    """What a hard vote of two members cannot do."""
    logits = np.array([[[0.1, 0.0]], [[0.0, 5.0]]])
    assert WeightedProbabilityOptions().build(2).merge(logits, np.array([1.1, 1.0])).argmax() == 1


def test_members_on_another_scale_do_not_drown_the_others() -> None:
    """What a sum of logits gets wrong."""
    logits = np.array([[[50.0, 0.0]], [[0.0, 2.0]], [[0.0, 2.0]]])
    assert logits.sum(axis=0).argmax() == 0
    assert MeanProbabilityOptions().build(2).merge(logits, np.ones(3)).argmax() == 1


def test_large_logits_do_not_overflow() -> None:
    assert softmax(np.array([1e4, 0.0])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_regression_is_refused(rule: MergerOptions) -> None:
    with pytest.raises(UserError, match="use weighted_median or weighted_mean"):
        rule.build(1)
