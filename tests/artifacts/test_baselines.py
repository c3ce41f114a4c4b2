from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from attrs import evolve

from bebertlab.artifacts.baselines import (
    baseline_metrics,
    is_constant,
    learned,
    teacher_metrics,
    variety_metrics,
)
from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.events import StageResult, TrialRecord, TrialState
from bebertlab.interfaces.metric_names import TEACHER_BETTER, TRAIN_STEPS
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import Split, Task
from bebertlab.registry.registry import Registry
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_task


def _with_labels(train: list[float], validation: list[float], *, regression: bool = False) -> Task:
    task = tiny_task(regression=regression)
    dtype = np.float32 if regression else np.int64
    splits = dict(task.splits)
    for name, labels in (("train", train), ("validation", validation)):
        count = len(labels)
        split = splits[name]
        splits[name] = evolve(
            split, ids=split.ids[:count], texts=split.texts[:count], labels=np.array(labels, dtype=dtype)
        )
    return evolve(task, splits=splits)


def test_the_majority_is_that_of_the_training_set() -> None:
    actual = baseline_metrics(_with_labels([1, 1, 0], [0, 0, 0, 1]))
    assert actual["majority/validation_score"] == actual["majority/validation_accuracy"] == 25.0
    assert 30 < actual["chance/validation_score"] < 70


def test_the_majority_of_a_regression_is_the_mean() -> None:
    task = _with_labels([1.0, 3.0], [2.0, 4.0], regression=True)
    actual = baseline_metrics(task)
    assert actual["majority/validation_score"] == task.evaluate_predictions("validation", np.full(2, 2.0))["score"]


def test_every_validation_split_has_its_baselines() -> None:
    task = tiny_task()
    further = evolve(task, splits={**task.splits, "validation_mismatched": task.splits["train"]})
    assert {"majority/validation_mismatched_score", "chance/select_score"} <= baseline_metrics(further).keys()
    assert not any("/train_" in name for name in baseline_metrics(further))


@pytest.mark.parametrize(
    ("answers", "labels", "constant"),
    [
        ([0] * 20, [0, 1] * 10, True),
        ([0] * 100 + [1], [0] * 50 + [1] * 51, True),
        ([0] * 9 + [1], [0, 1] * 5, False),
        # if the labels hardly vary, predictions may vary as little
        ([0] * 24 + [1], [0] * 24 + [1], False),
    ],
)
def test_constant_predictions_have_no_spread(answers: list[float], labels: list[float], constant: bool) -> None:
    task = _with_labels([0, 1], labels)
    task = evolve(task, splits={**task.splits, "validation": _split_of(task, labels)})
    assert is_constant(variety_metrics(task, np.array(answers))) is constant


def _split_of(task: Task, labels: list[float]) -> Split:
    split = task.splits["validation"]
    texts = tuple(str(position) for position in range(len(labels)))
    return evolve(split, ids=texts, texts=texts, labels=np.array(labels, dtype=np.int64))


def test_the_spread_of_regression_predictions_is_a_standard_deviation() -> None:
    task = _with_labels([1.0, 2.0], [0.0, 1.0, 2.0, 3.0], regression=True)
    flat = np.array([1.5, 1.5, 1.5001, 1.5], dtype=np.float32)
    assert is_constant(variety_metrics(task, flat))
    assert not is_constant(variety_metrics(task, task.splits["validation"].labels))
    assert not is_constant({})


@pytest.mark.parametrize(("score", "better"), [(50.0, 0.0), (52.0, 0.0), (90.0, 1.0)])
def test_a_teacher_is_compared_with_the_majority_baseline(
    tmp_path: object, bench: StageRunner, score: float, better: float
) -> None:
    context = bench.context(tiny_task())
    (context.folder / "metrics.json").write_text(f'{{"select/score": {score}}}')
    teacher = Artifact(stage="big", key="k", folder=context.folder, seconds=0)
    assert teacher_metrics(teacher, context) == {TEACHER_BETTER: better}
    assert len(bench.warnings) == (better == 0)
    assert all("the teacher scores" in text for text in bench.warnings)


@pytest.fixture
def bench(tmp_path: object) -> StageRunner:
    return StageRunner(tmp_path, OptionsCodec(Registry()))  # type: ignore[arg-type]


def _trial(number: int, metrics: Mapping[str, float], taught: float | None = None) -> TrialRecord:
    given = {} if taught is None else {TEACHER_BETTER: taught}
    event = StageResult(stage="student", stage_kind="distill", key="k", metrics=given)
    state = TrialState.COMPLETE
    return TrialRecord(number=number, name="t", parameters={}, seed=0, state=state, metrics=metrics, stages=(event,))


def _metrics(score: float, variety: float) -> dict[str, float]:
    return {
        "validation/score": score,
        "majority/validation_score": 50.0,
        "variety/validation": variety,
        "variety/validation_labels": 50.0,
    }


def test_a_score_at_the_baseline_means_that_the_model_learned_nothing() -> None:
    (reason,) = learned([_trial(0, _metrics(50, 0)), _trial(1, _metrics(50.5, 1))]).reasons
    assert "every model gives the same answer" in reason
    (reason,) = learned([_trial(0, _metrics(50, 40)), _trial(1, _metrics(49, 30))]).reasons
    assert "no model scores higher on validation" in reason
    (reason,) = learned([_trial(0, _metrics(70, 40), taught=0.0), _trial(1, _metrics(71, 40))]).reasons
    assert "The teacher is no better" in reason


def test_a_score_above_the_baseline_means_that_the_model_learned() -> None:
    mixed = learned([_trial(0, _metrics(50, 0), taught=0.0), _trial(1, _metrics(80, 45), taught=1.0)])
    assert (mixed.reasons, mixed.constant) == ((), frozenset({0}))
    # trials without these metrics, and none at all
    assert not learned([_trial(0, {"validation/score": 50.0})]).nothing
    assert not learned([]).nothing
    failed = evolve(_trial(0, {}), state=TrialState.FAILED)
    assert not learned([failed]).nothing


def _trained(steps: float, score: float) -> TrialRecord:
    stage = StageResult(stage="student", stage_kind="distill", key="k", metrics={TRAIN_STEPS: steps})
    return evolve(_trial(0, _metrics(score, 0.0 if score <= 50 else 45.0)), stages=(stage,))


def test_a_smoke_run_is_reported_and_expected_to_learn_nothing() -> None:
    (remark,) = learned([_trained(13, 50.0)]).remarks(is_smoke=True)
    assert remark.startswith("This is expected of a smoke run (--smoke): its trainings are too short to learn")
    assert "(optimizer steps of the longest: 13)" in remark
    (remark,) = learned([_trained(13, 80.0)]).remarks(is_smoke=True)
    assert remark.startswith("This is a smoke run (--smoke)")
    assert "expected" not in remark


def test_only_short_trainings_excuse_a_full_study_that_learned_nothing() -> None:
    (remark,) = learned([_trained(99, 50.0)]).remarks(is_smoke=False)
    assert "All trainings were short (optimizer steps of the longest: 99)" in remark
    for trials in ([_trained(100, 50.0)], [_trained(13, 80.0)], [_trial(0, _metrics(50, 0))], []):
        assert learned(trials).remarks(is_smoke=False) == ()
