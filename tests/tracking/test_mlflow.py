from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from bebertlab.interfaces.events import StageProgress, StudyRecord, TrialRecord, TrialState
from bebertlab.registry.hookspecs import plugin_manager
from bebertlab.tracking.mlflow import CAPACITY, SHARE, WRITE_SECONDS, CurveBuffer, MlflowTracker
from bebertlab.tracking.mlflow_runs import CurvePoint

Read = Callable[[], list[Any]]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


def _study(tracker: MlflowTracker, study: StudyRecord, trials: tuple[TrialRecord, ...]) -> None:
    """The events of the driver, through pluggy as in a study."""
    manager = plugin_manager()
    manager.register(tracker)
    manager.check_pending()
    manager.hook.bebertlab_study_started(study=study)
    for trial in trials:
        running = evolve(trial, state=TrialState.RUNNING, metrics={}, seconds=0.0)
        manager.hook.bebertlab_trial_started(study=study, trial=running)
        manager.hook.bebertlab_trial_finished(study=study, trial=trial)
    manager.hook.bebertlab_study_finished(study=study, trials=trials, report=())


@pytest.mark.slow
def test_a_study_is_written_once(
    database: Path, runs: Read, study: StudyRecord, trials: tuple[TrialRecord, ...], caplog: pytest.LogCaptureFixture
) -> None:
    _study(MlflowTracker(), study, trials)
    first = [(run.info.run_id, run.info.status, run.data.metrics) for run in runs()]
    assert [status for _, status, _ in first] == ["FINISHED"] * 5
    again = MlflowTracker()
    again.bebertlab_study_started(study)
    again.bebertlab_study_finished(study, trials, ())
    assert [(run.info.run_id, run.info.status, run.data.metrics) for run in runs()] == first
    assert not caplog.records


@pytest.mark.slow
def test_a_finished_and_written_study_does_not_import_mlflow(
    database: Path,
    runs: Read,
    study: StudyRecord,
    trials: tuple[TrialRecord, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = MlflowTracker()
    _study(first, study, trials)
    finished = evolve(study, finished=4)
    with monkeypatch.context() as without:
        without.setattr("bebertlab.tracking.mlflow.connect", lambda uri, work: pytest.fail("MLflow was opened"))
        again = MlflowTracker()
        again.bebertlab_study_started(finished)
        again.bebertlab_study_finished(finished, trials, ())
        assert again.directions(finished) == first.directions(study)
    database.unlink()
    again = MlflowTracker()
    again.bebertlab_study_started(finished)
    again.bebertlab_study_finished(finished, trials, ())
    assert [run.info.status for run in runs()] == ["FINISHED"] * 5


@pytest.mark.slow
@pytest.mark.parametrize("change", ["trial", "experiment", "report"])
def test_a_finished_study_is_written_if_something_changed(
    database: Path, study: StudyRecord, trials: tuple[TrialRecord, ...], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    page = study.work / "report.md"
    page.write_text("before")
    tracker = MlflowTracker()
    tracker.bebertlab_study_started(study)
    tracker.bebertlab_study_finished(study, trials, (str(page),))
    opened: list[str] = []
    monkeypatch.setattr("bebertlab.tracking.mlflow.connect", lambda uri, work: opened.append(uri))
    if change == "trial":
        trials = (evolve(trials[0], metrics={"validation/score": 0.0}), *trials[1:])
    elif change == "report":
        page.write_text("after")
    again = MlflowTracker(experiment="mine" if change == "experiment" else None)
    finished = evolve(study, finished=4)
    again.bebertlab_study_started(finished)
    again.bebertlab_study_finished(finished, trials, (str(page),))
    assert len(opened) == 1


@pytest.mark.slow
def test_failed_calls_are_repeated_at_the_end(
    database: Path,
    runs: Read,
    study: StudyRecord,
    trials: tuple[TrialRecord, ...],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow import MlflowClient

    tracker = MlflowTracker()
    tracker.bebertlab_study_started(study)
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_batch", _refuse)
        for trial in trials:
            tracker.bebertlab_trial_finished(study, trial)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "The study continues" in caplog.text
    assert "database is locked" in caplog.text
    tracker.bebertlab_study_finished(study, trials, ())
    assert [run.info.status for run in runs()] == ["FINISHED"] * 5
    assert {run.data.metrics["validation/score"] for run in runs()[1:]} == {81.0, 81.1, 82.0, 82.1}
    assert len(caplog.records) == 1


@pytest.mark.slow
def test_curves_reach_the_run_of_their_trial(
    database: Path,
    runs: Read,
    study: StudyRecord,
    trials: tuple[TrialRecord, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow import MlflowClient

    tracker = MlflowTracker()
    tracker.bebertlab_study_started(study)
    log_batch = MlflowClient.log_batch
    calls: list[object] = []

    def counted(*given: Any, **more: Any) -> None:  # noqa: ANN401
        calls.append(given)
        log_batch(*given, **more)

    for trial in trials[:2]:
        tracker.bebertlab_trial_started(study, trial)
    with monkeypatch.context() as watched:
        watched.setattr(MlflowClient, "log_batch", counted)
        for step in range(1, 101):
            tracker.bebertlab_stage_progress(_progress(0, step))
        assert calls == []  # they wait
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_batch", _refuse)
        tracker.bebertlab_stage_progress(_progress(1, 7))
        tracker.bebertlab_trial_finished(study, trials[1])
    tracker.bebertlab_study_finished(study, trials[:2], ())
    client = MlflowClient(f"sqlite:///{database}")
    histories = [client.get_metric_history(run.info.run_id, "curve/teacher/train/loss") for run in runs()[1:]]
    assert [[item.step for item in history] for history in histories] == [[*range(1, 101)], [7]]


@pytest.mark.slow
def test_curves_are_written_while_the_trial_runs(
    database: Path,
    runs: Read,
    study: StudyRecord,
    trials: tuple[TrialRecord, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bebertlab.tracking.mlflow.WRITE_SECONDS", 0.0)
    tracker = MlflowTracker()
    tracker.bebertlab_study_started(study)
    tracker.bebertlab_trial_started(study, evolve(trials[0], state=TrialState.RUNNING, metrics={}))
    tracker.bebertlab_stage_progress(_progress(0, 3))
    run = runs()[1]
    assert run.info.status == "RUNNING"
    assert run.data.metrics == {"curve/teacher/train/loss": 1 / 3}


@pytest.mark.slow
def test_calls_that_cannot_be_repeated_are_counted(
    database: Path,
    study: StudyRecord,
    trials: tuple[TrialRecord, ...],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow import MlflowClient

    tracker = MlflowTracker()
    tracker.bebertlab_study_started(study)
    monkeypatch.setattr(MlflowClient, "log_batch", _refuse)
    tracker.bebertlab_study_finished(study, trials, ())
    assert "4 trials of this study are missing in MLflow; the next run of the same command writes them." in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////proc/nowhere/mlflow.db", "nonsense://x"])
def test_an_unwritable_database_warns_once_and_quickly(
    study: StudyRecord, trials: tuple[TrialRecord, ...], caplog: pytest.LogCaptureFixture, uri: str
) -> None:
    began = time.monotonic()
    _study(MlflowTracker(uri), study, trials)
    assert time.monotonic() - began < 20
    (record,) = [item for item in caplog.records if item.levelno >= logging.WARNING]
    assert uri in record.getMessage()


@pytest.mark.slow
def test_an_experiment_can_be_given(
    database: Path, runs: Read, study: StudyRecord, trials: tuple[TrialRecord, ...]
) -> None:
    _study(MlflowTracker(f"sqlite:///{database}", "mine"), study, trials[:1])
    assert len(runs()) == 2


@pytest.mark.slow
def test_metrics_have_directions(database: Path, study: StudyRecord) -> None:
    tracker = MlflowTracker()
    assert "mlflow server" in tracker.directions(study)
    tracker.bebertlab_study_started(study)
    command, address = tracker.directions(study).splitlines()
    assert f"sqlite:///{database}" in command
    assert address.startswith("http://127.0.0.1:5000/#/experiments/1/runs/")
    assert MlflowTracker("https://lab.example/").directions(study) == "https://lab.example/"


@pytest.mark.slow
@pytest.mark.parametrize("uri", ["http://me:hunter2@127.0.0.1:9", "postgresql://me:hunter2@127.0.0.1:9/mlflow"])
def test_a_password_is_never_shown(
    study: StudyRecord, trials: tuple[TrialRecord, ...], caplog: pytest.LogCaptureFixture, uri: str
) -> None:
    tracker = MlflowTracker(uri)
    _study(tracker, study, trials[:1])
    assert "hunter2" not in caplog.text + tracker.directions(study)
    assert "//me:***@127.0.0.1:9" in caplog.text
    assert "//me:***@127.0.0.1:9" in tracker.directions(study)


def _progress(trial: int, step: int) -> StageProgress:
    values = {"train/loss": 1 / step}
    return StageProgress(stage="teacher", stage_kind="finetune", key="k", trial=trial, values=values, step=step)


def _refuse(*args: object, **more: object) -> None:
    raise RuntimeError("(sqlite3.OperationalError) database is locked")


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


class Log:
    """Records the written points; raises while `fails` is set."""

    def __init__(self) -> None:
        self.written: list[tuple[int, str, float, int]] = []
        self.calls = 0
        self.fails = False

    def __call__(self, trial: int, points: Sequence[CurvePoint]) -> None:
        self.calls += 1
        if self.fails:
            raise RuntimeError("no server")
        self.written += [(trial, point.name, point.value, point.step) for point in points]


def event(step: int | None, loss: float | None, *, trial: int | None = 1, epoch: float | None = None) -> StageProgress:
    values = {} if loss is None else {"train/loss": loss}
    return StageProgress(stage="members.0", stage_kind="k", key="k", trial=trial, values=values, step=step, epoch=epoch)


def test_values_become_metrics_of_their_stage_with_their_steps() -> None:
    buffer, log = CurveBuffer(), Log()
    buffer.add(event(5, 0.5, epoch=0.25))
    buffer.add(event(10, 0.25, trial=2))
    for ignored in (event(None, 0.5), event(5, None), event(5, 0.5, trial=None)):
        buffer.add(ignored)
    buffer.write(log)
    assert log.written == [
        (1, "curve/members.0/train/loss", 0.5, 5),
        (1, "curve/members.0/epoch", 0.25, 5),
        (2, "curve/members.0/train/loss", 0.25, 10),
    ]
    assert len(buffer) == 0


def test_a_single_trial_can_be_written() -> None:
    buffer, log = CurveBuffer(), Log()
    for step, trial in enumerate((1, 2, 1)):
        buffer.add(event(step, 0.5, trial=trial))
    buffer.write(log, 1)
    buffer.write(log, 3)
    assert [trial for trial, *_ in log.written] == [1, 1]
    assert (log.calls, len(buffer)) == (1, 1)


def test_points_are_written_in_few_calls() -> None:
    clock, log = Clock(), Log()
    buffer = CurveBuffer(clock)
    start = clock.now
    while clock.now < start + 60:
        buffer.add(event(int(4 * clock.now), 0.5))
        if buffer.is_due():
            with buffer.paced():
                buffer.write(log)
        clock.now += 0.25
    assert log.calls == 60 / WRITE_SECONDS - 1
    assert len(log.written) + len(buffer) == 240


@pytest.mark.parametrize("seconds", [0.2, 5.0, 60.0])
@pytest.mark.parametrize("fails", [True, False])
def test_a_slow_or_unreachable_server_costs_little_time(seconds: float, fails: bool) -> None:
    clock, log = Clock(), Log()
    log.fails = fails
    buffer = CurveBuffer(clock)
    start, spent = clock.now, 0.0
    while clock.now < start + 100_000:
        buffer.add(event(int(clock.now), 0.5))
        if buffer.is_due():
            try:
                with buffer.paced():
                    clock.now += seconds
                    spent += seconds
                    buffer.write(log)
            except RuntimeError:
                pass
        clock.now += 10.0
    assert log.calls >= 10
    assert spent / (clock.now - start) <= SHARE * 1.1 + seconds / 100_000


def test_points_that_could_not_be_written_are_queued_and_the_oldest_dropped() -> None:
    buffer, log = CurveBuffer(), Log()
    log.fails = True
    buffer.add(event(1, 0.5))
    with pytest.raises(RuntimeError):
        buffer.write(log)
    assert len(buffer) == 1
    for step in range(2, CAPACITY + 2):
        buffer.add(event(step, 0.5))
    log.fails = False
    buffer.write(log)
    assert [step for *_, step in log.written] == [*range(2, CAPACITY + 2)]
