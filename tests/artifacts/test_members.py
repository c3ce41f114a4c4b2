from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from attrs import evolve, field, frozen

from bebertlab.artifacts.members import (
    MEMBER_FILE,
    UNTRAINED,
    Member,
    first_sample_weights,
    read_member,
    training_data,
    update_ensemble,
    write_member,
)
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
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import TRAIN
from bebertlab.interfaces.training_data import TrainingData
from bebertlab.testing.tiny import tiny_task

TASK = tiny_task()


class Half(Ensemble):
    def __init__(self, factor: float, result: object = None) -> None:
        self.factor, self.result = factor, result

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        weights = (data.uniform("half", index) < 0.5).astype(float)
        return SampleWeights(sampling=Sampling.SUBSET, weights=self.factor * weights / weights.sum())

    def update(
        self, index: int, sample_weights: SampleWeights, logits: Floats | None, data: TrainingData
    ) -> MemberResult:
        return self.result  # type: ignore[return-value] # what a plugin may do all the same


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
    result: Any = None

    def build(self, classes: int) -> Ensemble:
        strategy: Ensemble = self.strategy(self.factor, self.result)
        return strategy

    def merger(self, classes: int) -> MergerOptions:
        raise NotImplementedError


def test_a_strategy_is_given_the_train_split_and_the_seed() -> None:
    data = training_data(TASK, 7)
    assert (data.ids, data.seed) == (TASK.splits[TRAIN].ids, 7)
    assert (data.labels == TASK.splits[TRAIN].labels).all()


def test_members_and_seeds_draw_differently() -> None:
    draws = [first_sample_weights(HalfOptions(), index, TASK, seed).weights for index, seed in ((0, 0), (1, 0), (0, 1))]
    assert (draws[0] == first_sample_weights(HalfOptions(), 0, TASK, 0).weights).all()
    assert not (draws[0] == draws[1]).all()
    assert not (draws[0] == draws[2]).all()


def test_draws_follow_the_ids_of_the_examples() -> None:
    order = np.random.default_rng(0).permutation(96)
    split = TASK.splits[TRAIN]
    permuted = evolve(
        split,
        ids=tuple(split.ids[i] for i in order),
        texts=tuple(split.texts[i] for i in order),
        labels=split.labels[order],
    )
    other = evolve(TASK, splits={**TASK.splits, TRAIN: permuted})
    first, second = (first_sample_weights(HalfOptions(), 0, task, 0).weights for task in (TASK, other))
    assert (first[order] == second).all()


def test_a_strategy_with_a_wrong_signature_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^ensemble 'half': first\(examples\) is called as first\(index, data\)"):
        first_sample_weights(HalfOptions(strategy=Counting), 0, TASK, 0)


def test_sample_weights_of_another_split_are_refused_before_anything_trains() -> None:
    with pytest.raises(
        UserError, match=r"^ensemble 'half': first\(0, ...\) returns SampleWeights with weights that sum to 2"
    ):
        first_sample_weights(HalfOptions(factor=2.0), 0, TASK, 0)


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (
            MemberResult(weight=float("nan"), kept=True, error=None, next=None),
            "MemberResult with weight nan, expected a finite",
        ),
        (1.0, "float, expected MemberResult"),
        (
            MemberResult(
                weight=1.0,
                kept=True,
                error=None,
                next=SampleWeights(sampling=Sampling.ALL, weights=np.full(3, 1 / 3)),
            ),
            r"MemberResult with next with weights that are not a float64 array of shape \(96,\)",
        ),
    ],
)
def test_results_of_the_wrong_type_are_refused(result: object, problem: str) -> None:
    options = HalfOptions(result=result)
    weights = first_sample_weights(options, 0, TASK, 0)
    with pytest.raises(UserError, match=rf"^ensemble 'half': update\(0, ...\) returns {problem}"):
        update_ensemble(options, 0, weights, None, TASK, 0)


def stored(folder: Path) -> Artifact:
    return Artifact(stage="members.0", key="k", folder=folder, seconds=0.0)


WEIGHTS = np.random.default_rng(0).dirichlet(np.ones(7))
LAST = MemberResult(weight=1.0, kept=True, error=None, next=None)


@pytest.mark.parametrize(
    "member",
    [
        UNTRAINED,
        Member(result=LAST),
        Member(
            result=MemberResult(
                weight=0.0,
                kept=False,
                error=0.5,
                next=SampleWeights(sampling=Sampling.REWEIGHT, weights=WEIGHTS, retries=2),
            )
        ),
        Member(result=evolve(LAST, next=SampleWeights(sampling=Sampling.RESAMPLE, weights=WEIGHTS, draws=5))),
        Member(result=evolve(LAST, next=SampleWeights(sampling=Sampling.SUBSET, weights=WEIGHTS))),
    ],
    ids=["untrained", "last", "discarded", "fewer", "subset"],
)
def test_reads_back_what_was_written(tmp_path: Path, member: Member) -> None:
    write_member(member, tmp_path)
    again = read_member(stored(tmp_path))
    result, expected = again.result, member.result
    assert again.trained == member.trained
    assert (result.weight, result.kept, result.error) == (expected.weight, expected.kept, expected.error)
    assert (result.next is None) == (expected.next is None)
    if result.next is not None and expected.next is not None:
        assert (result.next.sampling, result.next.retries) == (expected.next.sampling, expected.next.retries)
        assert result.next.draws == expected.next.draws
        assert (result.next.weights == expected.next.weights).all()  # bit for bit: they determine the draws
        assert result.next.weights.dtype == np.float64


def test_numbers_of_numpy_are_written_as_plain_ones(tmp_path: Path) -> None:
    following = SampleWeights(sampling=Sampling.RESAMPLE, weights=WEIGHTS, retries=np.int64(1), draws=np.int64(5))  # type: ignore[arg-type]
    error = np.float32(0.25)
    result = MemberResult(weight=np.float32(0.5), kept=error < 0.5, error=error, next=following)  # type: ignore[arg-type]
    write_member(Member(result=result), tmp_path)
    read = read_member(stored(tmp_path)).result
    assert (read.weight, read.kept, read.error) == (0.5, True, 0.25)
    assert read.next is not None
    assert (read.next.retries, read.next.draws) == (1, 5)


def test_a_model_without_a_result_is_a_kept_member_of_weight_1(tmp_path: Path) -> None:
    assert read_member(stored(tmp_path)).metrics() == {"member/trained": 1, "member/kept": 1, "member/weight": 1}


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    write_member(UNTRAINED, tmp_path)
    path = tmp_path / MEMBER_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 0}))
    with pytest.raises(UserError, match=r"member\.json: written by an older bebertlab \(format 0"):
        read_member(stored(tmp_path))
