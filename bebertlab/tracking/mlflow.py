"""The study in MLflow: an experiment per study name, a run per study, a child run per trial."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from attrs import evolve

from bebertlab.interfaces.events import StageProgress, StudyRecord, TrialRecord, TrialState
from bebertlab.redact import redact_word
from bebertlab.registry.hookspecs import hookimpl
from bebertlab.store.fingerprint import file_digest, output_digest
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
from bebertlab.tracking.mlflow_curves import CurveBuffer
from bebertlab.tracking.mlflow_receipt import Receipt, is_intact, read_receipt, write_receipt
from bebertlab.tracking.mlflow_runs import Runs

PAUSE_SECONDS = 60.0  #: after a failed call nothing is tried for so long: a dead server must not slow the study
_IN_A_ROW = 3  #: failed trials in a row after which writing what is missing is given up

logger = logging.getLogger("bebertlab.tracking")


class MlflowTracker:
    """Writes what the driver tells to MLflow. Nothing that goes wrong here reaches the study.

    A call that fails is not repeated at once: at the end of the study, and by the next run of the same command,
    every trial that MLflow lacks is written.
    """

    def __init__(self, uri: str | None = None, experiment: str | None = None) -> None:
        """Track at `uri` in `experiment`.

        Without them MLflow's variables MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME count, then an SQLite file in
        the work folder and the experiment bebertlab/<study>.

        Raises:
            UserError: the address begins with `~` and a name that is no user's.
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

        def finish(runs: Runs) -> None:
            runs.finish(trial)
            self._write_curves(runs, trial.number)

        self._attempt(study, finish)

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
        """Write every trial that is missing, then the study's summary, and close its run.

        MLflow itself, which takes seconds to import, is left alone where its database has all of that already.
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
            missing = _write_missing(runs, trials, self._uri)
            self._write_curves(runs)
            runs.end(trials, files)
            if database is not None and not missing:
                write_receipt(runs.receipt(content), study.folder)

        self._attempt(study, settle)
        if missing:
            logger.warning(
                "MLflow lacks %d trials of this study; the next run of the same command writes them.", missing
            )

    def directions(self, study: StudyRecord) -> str:
        """How to look at the study: a shell command where there is no server yet, and the address of its page."""
        uri = tracking_uri(self._uri, study.work)
        page = ""
        if self._runs is not None:
            page = fragment(self._runs.experiment, self._runs.parent)
        elif self._receipt is not None:
            page = fragment(self._receipt.experiment, self._receipt.run)
        if uri.startswith(("http://", "https://")):
            return f"{redact_word(uri).rstrip('/')}/{page}"
        hint = "\n(write the password where *** stands)" if redact_word(uri) != uri else ""
        return f"{open_command(uri, study.work)}{hint}\nhttp://127.0.0.1:5000/{page}"

    def _content(self, study: StudyRecord, trials: tuple[TrialRecord, ...], files: tuple[Path, ...]) -> str:
        """The hash of everything that is written, and of where to."""
        started = evolve(study, finished=0, missing={})
        report = {path.name: file_digest(path) for path in files if path.is_file()}
        experiment = [self._experiment, os.environ.get(NAME_VARIABLE), os.environ.get(ID_VARIABLE)]
        place = [tracking_uri(self._uri, study.work), experiment]
        return output_digest(started, *trials, report, place, packages=("mlflow",))

    def _database(self, study: StudyRecord) -> Path | None:
        """The SQLite file that is written; None where runs go elsewhere."""
        uri = tracking_uri(self._uri, study.work)
        return default_database(study.work) if uri == default_uri(study.work) else sqlite_path(uri)

    def _attempt(self, study: StudyRecord, write: Callable[[Runs], None]) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            with warnings.catch_warnings():
                # deprecations inside MLflow are nobody's business here, least of all as errors
                warnings.simplefilter("ignore")
                if self._runs is None:
                    self._runs = self._open(study)
                write(self._runs)
        except Exception as error:
            self._silent_until = time.monotonic() + PAUSE_SECONDS
            self._warn(study, error)

    def _write_curves(self, runs: Runs, trial: int | None = None) -> None:
        self._curves.write(lambda number, points: runs.log_curve(self._trials[number], points), trial)

    def _open(self, study: StudyRecord) -> Runs:
        client = connect(tracking_uri(self._uri, study.work), study.work)
        return Runs(client, study, self._experiment or experiment_name(client, study.name))

    def _warn(self, study: StudyRecord, error: Exception) -> None:
        if self._warned:
            return
        self._warned = True
        logger.warning(
            "MLflow at %s cannot be written: %s. The study goes on; what is missing is written when it ends, or by the "
            "next run of the same command.",
            shown_uri(self._uri, study.work),
            describe(error, self._uri),
        )


def _write_missing(runs: Runs, trials: tuple[TrialRecord, ...], uri: str | None) -> int:
    """Write the finished trials that MLflow lacks; how many could not be written."""
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.FAILED)]
    missing = [trial for trial in ended if not runs.has(trial)]
    failed = in_a_row = 0
    for place, trial in enumerate(missing):
        try:
            runs.finish(trial)
            in_a_row = 0
        except Exception as error:
            failed, in_a_row = failed + 1, in_a_row + 1
            logger.debug("trial %s: %s", trial.name, describe(error, uri))
            if in_a_row == _IN_A_ROW:
                return failed + len(missing) - place - 1
    return failed
