from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from attrs import evolve, field, frozen

from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import (
    Ensemble,
    EnsembleOptions,
    Floats,
    MemberResult,
    MergerOptions,
    SampleWeights,
    Sampling,
)
from bebertlab.interfaces.task import TRAIN
from bebertlab.interfaces.training_data import TrainingData
from bebertlab.stages.strategy import check_member_result, check_sample_weights, first_sample_weights, training_data
from bebertlab.testing.tiny import tiny_task

TASK = tiny_task()


class Half(Ensemble):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        weights = (data.uniform("half", index) < 0.5).astype(float)
        return SampleWeights(sampling=Sampling.SUBSET, weights=self.factor * weights / weights.sum())

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        return MemberResult(weight=1.0, kept=True, error=None, next=None)


class Counting(Half):
    def first(self, examples: int) -> SampleWeights:  # type: ignore[override]
        return SampleWeights(sampling=Sampling.ALL, weights=np.full(examples, 1 / examples))


@frozen(kw_only=True)
class HalfOptions(EnsembleOptions):
    kind: ClassVar[str] = "half"
    sequential: ClassVar[bool] = False
    needs_predictions: ClassVar[bool] = False
    factor: float = 1.0
    strategy: Any = field(default=Half)

    def build(self, classes: int) -> Ensemble:
        made: Ensemble = self.strategy(self.factor)
        return made

    def merger(self, classes: int) -> MergerOptions:
        raise NotImplementedError


def test_a_strategy_is_given_the_train_split_and_the_seed() -> None:
    data = training_data(TASK, 7)
    assert (data.ids, data.seed) == (TASK.splits[TRAIN].ids, 7)
    assert (data.labels == TASK.splits[TRAIN].labels).all()


def test_each_member_and_each_seed_has_a_draw_of_its_own() -> None:
    draws = [first_sample_weights(HalfOptions(), index, TASK, seed).weights for index, seed in ((0, 0), (1, 0), (0, 1))]
    assert (draws[0] == first_sample_weights(HalfOptions(), 0, TASK, 0).weights).all()
    assert not (draws[0] == draws[1]).all()
    assert not (draws[0] == draws[2]).all()


def test_a_draw_goes_with_its_examples() -> None:
    order = np.random.default_rng(0).permutation(96)
    split = TASK.splits[TRAIN]
    turned = evolve(
        split,
        ids=tuple(split.ids[place] for place in order),
        texts=tuple(split.texts[place] for place in order),
        labels=split.labels[order],
    )
    other = evolve(TASK, splits={**TASK.splits, TRAIN: turned})
    first, second = (first_sample_weights(HalfOptions(), 0, task, 0).weights for task in (TASK, other))
    assert (first[order] == second).all()


def test_a_strategy_of_another_signature_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^ensemble 'half': first\(examples\) is called as first\(index, data\)"):
        first_sample_weights(HalfOptions(strategy=Counting), 0, TASK, 0)


def test_what_is_no_round_is_not_trained_on() -> None:
    with pytest.raises(
        UserError, match=r"^ensemble 'half': first\(0, ...\) returns SampleWeights with weights that sum"
    ):
        first_sample_weights(HalfOptions(factor=2.0), 0, TASK, 0)
    with pytest.raises(UserError, match=r"^update returns SampleWeights with weights that are not a float64"):
        check_sample_weights(first_sample_weights(HalfOptions(), 0, TASK, 0), 3, "update")


def test_what_is_no_verdict_does_not_count() -> None:
    verdict = MemberResult(weight=float("nan"), kept=True, error=None, next=None)
    with pytest.raises(UserError, match=r"^update returns MemberResult with weight nan, expected a finite"):
        check_member_result(verdict, 3, "update")
    with pytest.raises(UserError, match=r"^update returns float, not a MemberResult"):
        check_member_result(1.0, 3, "update")  # type: ignore[arg-type] # what a plugin may do all the same
