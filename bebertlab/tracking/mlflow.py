"""A study in MLflow: an experiment per study name, a run per study, a child run per trial."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.events import StageProgress, StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.metric_names import curve_metric
from bebertlab.redact import redact_word
from bebertlab.registry.hookspecs import hookimpl
from bebertlab.store.fingerprint import file_digest, output_digest
from bebertlab.store.store import Store
from bebertlab.tracking.mlflow_client import (
    ID_VARIABLE,
    NAME_VARIABLE,
    check_uri,
    connect,
    default_database,
    default_uri,
    describe,
    experiment_name,
    fragment,
    open_command,
    shown_uri,
    sqlite_path,
    tracking_uri,
)
from bebertlab.tracking.mlflow_receipt import Receipt, is_intact, read_receipt, write_receipt
from bebertlab.tracking.mlflow_runs import CurvePoint, Runs
from bebertlab.training.curve import LearningCurve, read_learning_curve

PAUSE_SECONDS = 60.0  #: without calls after a failed one: a dead server must not slow down the study
WRITE_SECONDS = 10.0  #: at least, between two writes while a trial runs
SHARE = 0.01  #: of the time, at most, that these writes take: a slow server must not slow down the training
CAPACITY = 20_000  #: points that wait at most; the oldest are dropped where no server answers
_EPOCH = "epoch"
_GIVE_UP = 3  #: failed trials in a row, after which no further missing trials are written

logger = logging.getLogger("bebertlab.tracking")


class MlflowTracker:
    """Writes the trials of a study to MLflow. Errors of MLflow never stop the study.

    A call that fails is not repeated at once: all trials that are missing in MLflow are written at the end of the
    study, and by the next run of the same command.
    """

    def __init__(self, uri: str | None = None, experiment: str | None = None) -> None:
        """Track at `uri` in `experiment`.

        The defaults are MLflow's variables MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME, then an SQLite file in the
        work folder and the experiment bebertlab/<study>.

        Raises:
            UserError: the address begins with `~` and an unknown user name.
        """
        check_uri(uri)
        self._uri = uri
        self._experiment = experiment
        self._runs: Runs | None = None
        self._receipt: Receipt | None = None
        self._silent_until = 0.0
        self._warned = False
        self._study: StudyRecord | None = None
        self._trials: dict[int, TrialRecord] = {}  # that were started, by number
        self._curves = CurveBuffer()
        self._restored: set[str] = set()  # keys of stages whose curves were written from the store

    @hookimpl
    def bebertlab_study_started(self, study: StudyRecord) -> None:
        """Open or create the study's run, unless no trial is left: the end of the study does it if needed."""
        self._study = study
        if study.finished != study.planned:
            self._attempt(study, lambda runs: runs.begin())

    @hookimpl
    def bebertlab_trial_started(self, study: StudyRecord, trial: TrialRecord) -> None:
        """Open or create the trial's run."""
        self._trials[trial.number] = trial
        self._attempt(study, lambda runs: runs.start(trial))

    @hookimpl
    def bebertlab_trial_finished(self, study: StudyRecord, trial: TrialRecord) -> None:
        """Write the trial's numbers and close its run."""

        self._attempt(study, lambda runs: self._finish(runs, trial))

    @hookimpl
    def bebertlab_stage_progress(self, event: StageProgress) -> None:
        """Keep the learning curve of the stage, and write what waits from time to time."""
        self._curves.add(event)
        if self._study is not None and self._curves.is_due():
            with self._curves.paced():
                self._attempt(self._study, self._write_curves)

    @hookimpl
    def bebertlab_study_finished(
        self, study: StudyRecord, trials: tuple[TrialRecord, ...], report: tuple[str, ...]
    ) -> None:
        """Write all missing trials, then the study's summary, and close its run.

        MLflow, which takes seconds to import, is not imported if its database has all of that already.
        """
        self._silent_until = 0.0
        missing = 0
        files = tuple(map(Path, report))
        content = self._content(study, trials, files)
        database = self._database(study)
        if self._runs is None and database is not None:
            self._receipt = read_receipt(study.folder)
            if self._receipt and self._receipt.content == content and is_intact(self._receipt, database):
                return

        def settle(runs: Runs) -> None:
            nonlocal missing
            missing = self._write_missing(runs, trials)
            self._write_curves(runs)
            runs.end(trials, files)
            if database is not None and not missing:
                write_receipt(runs.receipt(content), study.folder)

        self._attempt(study, settle)
        if missing:
            logger.warning(
                "%d trials of this study are missing in MLflow; the next run of the same command writes them.", missing
            )

    def directions(self, study: StudyRecord) -> str:
        """How to look at the study: the shell command that starts a server, if needed, and the address of its page."""
        uri = tracking_uri(self._uri, study.work)
        page = ""
        if self._runs is not None:
            page = fragment(self._runs.experiment, self._runs.parent)
        elif self._receipt is not None:
            page = fragment(self._receipt.experiment, self._receipt.run)
        if uri.startswith(("http://", "https://")):
            return f"{redact_word(uri).rstrip('/')}/{page}"
        hint = "\n(replace *** by the password)" if redact_word(uri) != uri else ""
        return f"{open_command(uri, study.work)}{hint}\nhttp://127.0.0.1:5000/{page}"

    def _content(self, study: StudyRecord, trials: tuple[TrialRecord, ...], files: tuple[Path, ...]) -> str:
        """The hash of everything that is written, and of where."""
        started = evolve(study, finished=0, missing={})
        report = {path.name: file_digest(path) for path in files if path.is_file()}
        experiment = [self._experiment, os.environ.get(NAME_VARIABLE), os.environ.get(ID_VARIABLE)]
        target = [tracking_uri(self._uri, study.work), experiment]
        return output_digest(started, *trials, report, target, packages=("mlflow",))

    def _database(self, study: StudyRecord) -> Path | None:
        """The SQLite file that runs are written to; None if they are written elsewhere."""
        uri = tracking_uri(self._uri, study.work)
        return default_database(study.work) if uri == default_uri(study.work) else sqlite_path(uri)

    def _attempt(self, study: StudyRecord, write: Callable[[Runs], None]) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            with warnings.catch_warnings():
                # deprecation warnings inside MLflow do not concern users of bebertlab
                warnings.simplefilter("ignore")
                if self._runs is None:
                    self._runs = self._open(study)
                write(self._runs)
        except Exception as error:
            self._silent_until = time.monotonic() + PAUSE_SECONDS
            self._warn(study, error)

    def _write_curves(self, runs: Runs, trial: int | None = None) -> None:
        self._curves.write(lambda number, points: runs.log_curve(self._trials[number], points), trial)

    def _finish(self, runs: Runs, trial: TrialRecord) -> None:
        """Write a trial and close its run, at last: what is closed is complete, whenever the process is killed."""
        self._write_curves(runs, trial.number)
        for stage in trial.stages:
            if self._lacks_curve(runs, trial, stage):
                self._write_stored_curve(runs, trial, stage)
                self._restored.add(stage.key)
        runs.finish(trial)

    def _lacks_curve(self, runs: Runs, trial: TrialRecord, stage: StageResult) -> bool:
        """Whether a trial trained a stage, but not while this process listened.

        A stage that an interrupted trial finds in the store is most likely one that it trained before.
        """
        if stage.key in self._curves.keys | self._restored:
            return False
        return not stage.stored or (runs.is_interrupted(trial) and stage.key not in runs.finished_keys)

    def _write_stored_curve(self, runs: Runs, trial: TrialRecord, stage: StageResult) -> None:
        """Write what MLflow lacks of the learning curve of a stored stage."""
        try:
            curve = read_learning_curve(Store(runs.study.work / "store").folder(stage.key))
        except UserError:  # damaged or of another version: the next trial that needs the stage builds it again
            return
        if curve is not None:
            after = runs.last_step(trial, curve_metric(stage.stage, _EPOCH))  # has a value at every step
            runs.log_curve(trial, stored_points(stage.stage, curve, after=after))

    def _write_missing(self, runs: Runs, trials: tuple[TrialRecord, ...]) -> int:
        """Write the finished trials that are missing in MLflow; returns how many could not be written."""
        ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.FAILED)]
        missing = [trial for trial in ended if not runs.has(trial)]
        failed = in_a_row = 0
        for index, trial in enumerate(missing):
            try:
                self._finish(runs, trial)
                in_a_row = 0
            except Exception as error:
                failed, in_a_row = failed + 1, in_a_row + 1
                logger.debug("trial %s: %s", trial.name, describe(error, self._uri))
                if in_a_row == _GIVE_UP:
                    return failed + len(missing) - index - 1
        return failed

    def _open(self, study: StudyRecord) -> Runs:
        client = connect(tracking_uri(self._uri, study.work), study.work)
        return Runs(client, study, self._experiment or experiment_name(client, study.name))

    def _warn(self, study: StudyRecord, error: Exception) -> None:
        if self._warned:
            return
        self._warned = True
        logger.warning(
            "cannot write to MLflow at %s: %s. The study continues; missing trials are written when it ends, or by the "
            "next run of the same command.",
            shown_uri(self._uri, study.work),
            describe(error, self._uri),
        )


class CurveBuffer:
    """Points of learning curves that wait to be written, by the number of their trial."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._points: deque[tuple[int, CurvePoint]] = deque(maxlen=CAPACITY)
        self._next_write = clock() + WRITE_SECONDS
        self._last_steps: dict[tuple[int, str], int] = {}  # trial and metric to the last step
        self.keys: set[str] = set()  #: of stages that had points

    def __len__(self) -> int:
        return len(self._points)

    def add(self, event: StageProgress) -> None:
        """Add the values of an event, and its epoch; nothing where it has no values, no step or no trial.

        A stage that runs again after its worker was lost reports the same values again, which are left out.
        """
        if event.trial is None or event.step is None or not event.values:
            return
        self.keys.add(event.key)
        values = dict(event.values)
        if event.epoch is not None:
            values[_EPOCH] = event.epoch
        for point in _points(event.stage, event.step, values):
            if self._last_steps.get((event.trial, point.name), -1) < point.step:
                self._last_steps[event.trial, point.name] = point.step
                self._points.append((event.trial, point))

    def is_due(self) -> bool:
        """Whether there are points, and the last write was long enough ago."""
        return bool(self._points) and self._clock() >= self._next_write

    @contextmanager
    def paced(self) -> Iterator[None]:
        """Measures a write, so that the next one is not due before it has cost no more than its share of the time."""
        start = self._clock()
        try:
            yield
        finally:
            end = self._clock()
            self._next_write = end + max(WRITE_SECONDS, (end - start) * (1 / SHARE - 1))

    def write(self, log: Callable[[int, Sequence[CurvePoint]], None], trial: int | None = None) -> None:
        """Call `log` with each trial (or the given one) and its points; where it raises, its points stay."""
        numbers = dict.fromkeys(number for number, _ in self._points) if trial is None else (trial,)
        for wanted in numbers:
            points = [point for number, point in self._points if number == wanted]
            if points:
                log(wanted, points)
                others = [item for item in self._points if item[0] != wanted]
                self._points = deque(others, maxlen=CAPACITY)


def stored_points(stage: str, curve: LearningCurve, *, after: int = 0) -> list[CurvePoint]:
    """The points of a stored curve after a step, as a running stage reports them."""
    points: list[CurvePoint] = []
    for step, epoch, values in curve.values():
        if step > after:
            points += _points(stage, step, {**values, _EPOCH: epoch})
    return points


def _points(stage: str, step: int, values: Mapping[str, float]) -> list[CurvePoint]:
    now = int(1000 * time.time())
    return [
        CurvePoint(name=curve_metric(stage, name), value=value, step=step, milliseconds=now)
        for name, value in values.items()
    ]
