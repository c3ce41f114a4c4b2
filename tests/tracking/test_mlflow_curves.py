"""Learning curves in MLflow that do not come from a stage that runs now."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from bebertlab.interfaces.events import StageProgress, StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.tracking.mlflow import CurveBuffer, MlflowTracker, stored_points
from bebertlab.training.curve import (
    EvaluationPoint,
    LearningCurve,
    PhaseCurve,
    TrainingPoint,
    write_learning_curve,
)

pytestmark = [pytest.mark.slow]

Read = Callable[[], list[Any]]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


def test_the_epoch_of_a_step_is_written_once() -> None:
    buffer = CurveBuffer()
    for trial in (0, 0, 1):  # an evaluation follows the last training step of a phase
        buffer.add(_event(trial, 5))
    epochs: list[tuple[int, int]] = []
    buffer.write(lambda trial, points: epochs.extend((trial, p.step) for p in points if p.name.endswith("/epoch")))
    assert epochs == [(0, 5), (1, 5)]


def test_a_stage_that_runs_again_adds_only_what_is_new() -> None:
    """Its worker was killed at step 3, and it resumed at step 2, where it reports what it had by then."""
    buffer = CurveBuffer()
    written: list[tuple[str, int]] = []

    def write() -> None:
        buffer.write(lambda trial, points: written.extend((point.name, point.step) for point in points))

    for step in (1, 2, 3):
        buffer.add(_event(0, step))
    write()
    for step in (1, 2, 3, 4):
        buffer.add(_event(0, step))
    write()
    assert [step for name, step in written if name == "curve/teacher/train/loss"] == [1, 2, 3, 4]
    assert [step for name, step in written if name == "curve/teacher/epoch"] == [1, 2, 3, 4]


def test_a_new_process_adds_only_what_is_new(
    database: Path, runs: Read, study: StudyRecord, trials: tuple[TrialRecord, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process is killed after step 3; the second one resumes at step 4 and reports all that came before."""
    monkeypatch.setattr("bebertlab.tracking.mlflow.WRITE_SECONDS", 0.0)
    for steps in (range(1, 4), range(1, 7)):
        tracker = MlflowTracker()
        tracker.bebertlab_study_started(study)
        tracker.bebertlab_trial_started(study, trials[0])
        for step in steps:
            tracker.bebertlab_stage_progress(_event(trials[0].number, step))
            tracker._curves._next_write = 0.0
    tracker.bebertlab_trial_finished(study, trials[0])
    assert _steps(database, runs, "curve/teacher/train/loss")[0] == [1, 2, 3, 4, 5, 6]


def test_a_stored_curve_becomes_what_its_stage_reported() -> None:
    losses = [
        TrainingPoint(step=step, epoch=step / 2, learning_rate=0.1, loss=1 / step, terms={"a": 0.5, "b": 0.25})
        for step in (1, 2)
    ]
    evaluations = [
        EvaluationPoint(step=2, epoch=1.0, value=70.0, kept=True),
        EvaluationPoint(step=3, epoch=1.5, value=math.nan),
    ]
    phase = PhaseCurve(name="p", steps=3, epochs=1.5, training=tuple(losses), evaluations=tuple(evaluations))
    only = TrainingPoint(step=4, epoch=2.0, learning_rate=0.2, loss=0.125, terms={"a": 0.125})
    curve = LearningCurve(phases=(phase, PhaseCurve(name="q", steps=1, epochs=0.5, training=(only,))))
    points = [(point.name, point.value, point.step) for point in stored_points("half", curve, after=1)]
    assert points == [
        ("curve/half/train/loss", 0.5, 2),
        ("curve/half/train/loss/a", 0.5, 2),
        ("curve/half/train/loss/b", 0.25, 2),
        ("curve/half/train/learning_rate", 0.1, 2),
        ("curve/half/select/score", 70.0, 2),
        ("curve/half/epoch", 1.0, 2),
        ("curve/half/train/loss", 0.125, 4),
        ("curve/half/train/learning_rate", 0.2, 4),
        ("curve/half/epoch", 2.0, 4),
    ]


def test_the_curves_of_a_killed_process_are_completed_from_the_store(
    database: Path,
    runs: Read,
    study: StudyRecord,
    trials: tuple[TrialRecord, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bebertlab.tracking.mlflow.WRITE_SECONDS", 0.0)
    _store_curve(study, "ab", 5)
    _store_curve(study, "cd", 3)
    stages = (_stored("teacher", "ab"), _stored("half", "cd"))
    first, second, waiting = (evolve(trial, stages=stages) for trial in trials[:3])
    killed = MlflowTracker()
    killed.bebertlab_study_started(study)
    for trial in (first, second):
        killed.bebertlab_trial_started(study, evolve(trial, state=TrialState.RUNNING, metrics={}, stages=()))
    for step in (1, 2):
        killed.bebertlab_stage_progress(_event(0, step))
    tracker = MlflowTracker()
    tracker.bebertlab_study_started(study)
    for trial in (first, second, waiting):
        tracker.bebertlab_trial_started(study, evolve(trial, state=TrialState.RUNNING, metrics={}, stages=()))
        tracker.bebertlab_trial_finished(study, trial)
    assert [run.info.status for run in runs()[1:]] == ["FINISHED"] * 3
    assert _steps(database, runs, "curve/teacher/train/loss") == [[1, 2, 3, 4, 5], [], []]
    assert _steps(database, runs, "curve/half/train/loss") == [[1, 2, 3], [], []]  # once, and not for a new trial


def test_a_lost_database_gets_the_curves_again(
    database: Path, runs: Read, study: StudyRecord, trials: tuple[TrialRecord, ...]
) -> None:
    _store_curve(study, "ab", 4)
    (study.work / "store" / "cd" / "cd").mkdir(parents=True)
    (study.work / "store" / "cd" / "cd" / "learning_curve.json").write_text('{"format"')
    built = [evolve(_stored("teacher", key), stored=False) for key in ("ab", "cd")]
    ended = (evolve(trials[0], stages=(built[0],)), evolve(trials[1], stages=(_stored("teacher", "ab"), built[1])))
    MlflowTracker().bebertlab_study_finished(study, ended, ())
    assert [run.info.status for run in runs()[1:]] == ["FINISHED"] * 2  # the damaged curve stops nothing
    assert _steps(database, runs, "curve/teacher/train/loss") == [[1, 2, 3, 4], []]


def _stored(stage: str, key: str) -> StageResult:
    return StageResult(stage=stage, stage_kind="finetune", key=key, stored=True)


def _store_curve(study: StudyRecord, key: str, steps: int) -> None:
    """Put the learning curve of a stage into the store of a study."""
    folder = study.work / "store" / key / key
    folder.mkdir(parents=True)
    points = tuple(TrainingPoint(step=n, epoch=n / 2, learning_rate=0.1, loss=1 / n) for n in range(1, steps + 1))
    phase = PhaseCurve(name="train", steps=steps, epochs=steps / 2, training=points)
    write_learning_curve(LearningCurve(phases=(phase,)), folder)


def _steps(database: Path, runs: Read, metric: str) -> list[list[int]]:
    """The steps at which the run of each trial has a metric."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    return [[value.step for value in client.get_metric_history(run.info.run_id, metric)] for run in runs()[1:]]


def _event(trial: int, step: int) -> StageProgress:
    values = {"train/loss": 1 / step}
    return StageProgress(
        stage="teacher", stage_kind="finetune", key="ab", trial=trial, values=values, step=step, epoch=step / 2
    )
