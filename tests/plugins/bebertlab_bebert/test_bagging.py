from __future__ import annotations

import numpy as np
import pytest

from bebertlab.interfaces.ensemble import Sampling
from bebertlab.interfaces.training_data import TrainingData
from bebertlab.testing.ensemble import check_ensemble
from bebertlab.testing.tiny import tiny_data
from bebertlab_bebert.bagging import BaggingOptions, SingleOptions


def data(examples: int, seed: int = 0) -> TrainingData:
    return tiny_data(np.zeros(examples, dtype=np.int64), seed)


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize(("share", "replacement"), [(1.0, True), (0.5, True), (0.5, False), (1.0, False)])
def test_keeps_the_contract(classes: int, share: float, replacement: bool) -> None:
    check_ensemble(BaggingOptions(share=share, replacement=replacement), classes)


def test_every_member_draws_a_bootstrap_with_equal_votes() -> None:
    bagging = BaggingOptions().build(2)
    first = bagging.first(0, data(4))
    assert (first.sampling, first.draws) == (Sampling.BOOTSTRAP, None)
    assert first.weights.tolist() == [0.25] * 4
    result = bagging.update(3, first, None, data(4))
    assert (result.weight, result.kept, result.next) == (1.0, True, None)


def test_a_fraction_with_replacement_is_that_many_draws() -> None:
    first = BaggingOptions(share=0.3).build(2).first(0, data(10))
    assert (first.sampling, first.draws) == (Sampling.BOOTSTRAP, 3)
    assert first.weights.tolist() == [0.1] * 10


@pytest.mark.parametrize(("share", "count"), [(0.3, 30), (0.004, 1), (1.0, 100)])
def test_a_fraction_without_replacement_is_a_subset(share: float, count: int) -> None:
    first = BaggingOptions(share=share, replacement=False).build(2).first(0, data(100))
    assert first.sampling is Sampling.SUBSET
    assert np.unique(first.weights[first.weights > 0]).tolist() == [1 / count]
    assert (first.weights > 0).sum() == count


def test_members_and_seeds_draw_different_subsets() -> None:
    bagging = BaggingOptions(share=0.5, replacement=False).build(2)
    chosen = np.array([bagging.first(index, data(400, seed)).weights > 0 for index, seed in ((0, 0), (1, 0), (0, 1))])
    overlaps = [(chosen[item] & chosen[other]).sum() for item, other in ((0, 1), (0, 2), (1, 2))]
    assert all(70 < overlap < 130 for overlap in overlaps)  # a quarter where they are independent


def test_members_do_not_wait_for_each_other() -> None:
    assert not BaggingOptions.sequential


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan")])
def test_a_fraction_is_above_0_and_at_most_1(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        BaggingOptions(share=share)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_a_single_model_keeps_the_contract(classes: int) -> None:
    check_ensemble(SingleOptions(), classes)


def test_a_single_model_is_one_member_trained_on_every_example() -> None:
    assert SingleOptions.single
    single = SingleOptions().build(2)
    data = tiny_data(np.zeros(4, dtype=np.int64))
    first = single.first(0, data)
    assert first.sampling is Sampling.ALL
    result = single.update(0, first, None, data)
    assert (result.weight, result.kept, result.next) == (1.0, True, None)
