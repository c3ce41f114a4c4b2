"""The driver: gives out the trials of a journal, records their outcomes, and notifies the observers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

import attrs
from attrs import frozen

from bebertlab.errors import UserError
from bebertlab.interfaces.events import StageEvent, StageFinished, StudyRecord, TrialRecord, TrialState, trial_id
from bebertlab.registry.observers import Observers
from bebertlab.store.disk import DiskFull
from bebertlab.study.executors.base import Executor
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.journal import Journal
from bebertlab.study.messages import JobDefaults, PlannedTrial, TrialJob, TrialOutcome

_log = logging.getLogger(__name__)

#: workers that may die on one trial before the trial is considered their cause of death and fails
LOSSES = 3


@frozen(kw_only=True)
class Limits:
    """How far one run of the command goes."""

    max_trials: int | None = None  #: trials to give out at most
    fail_fast: bool = False  #: give out no further trial once one has failed


class Driver:
    """The source of trials of an executor. The journal must have no other writer."""

    def __init__(
        self,
        *,
        study: StudyRecord,
        journal: Journal,
        defaults: JobDefaults,
        limits: Limits,
        observers: Observers,
        plan: Callable[[TrialRecord], PlannedTrial],
        stored: Callable[[str], bool],
    ) -> None:
        self._study = study
        self._journal = journal
        self._defaults = defaults
        self._limits = limits
        self._observers = observers
        self._plan = plan
        self._stored = stored
        self._plans: dict[int, PlannedTrial] = {}
        self._waiting: dict[int, TrialRecord] = {}
        self._running: dict[int, TrialRecord] = {}
        self._built: set[str] = set()  # keys known to be stored
        self._failed: dict[str, str] = {}  # keys of failed stages to their errors
        self._warnings: set[str] = set()  # of workers, as logged
        self._losses: dict[int, int] = {}  # number of the trial to workers that died on it
        self._given_out = 0
        self._stopping = False
        self._metric_error: str | None = None  # why no trial would have a metric
        self._disk_error: str | None = None  # which disk is full

    def run(self, executor: Executor, interrupts: Interrupts) -> None:
        """Run the waiting trials.

        Raises:
            KeyboardInterrupt: the user interrupted; trials that ran wait again.
            UserError: the first result lacks a metric; the other trials wait.
            DiskFull: a stage could not be written; its trial and the others wait.
        """
        self._journal.extend()
        for record in self._journal.records():
            if record.state in (TrialState.WAITING, TrialState.RUNNING):
                self._queue(record)
        try:
            executor.run(self, interrupts)
        finally:
            for record in self._running.values():
                self._journal.wait(_reset(record))
        if self._disk_error is not None:
            raise DiskFull(self._disk_error)
        if self._metric_error is not None:
            keys = "objective or constraints" if self._study.constraints else "objective"
            raise UserError(f"{keys}: {self._metric_error}")

    def next_job(self) -> TrialJob | None:
        """The next trial."""
        if self._is_closed():
            return None
        if not self._waiting and self._can_grow():
            for record in self._journal.extend():
                self._queue(record)
        if not self._waiting:
            return None
        number = choose(map(self._candidate, self._waiting), self._in_progress())
        planned = self._plans[number].stages
        record = attrs.evolve(self._waiting.pop(number), state=TrialState.RUNNING, planned=planned)
        self._running[number] = record
        self._given_out += 1
        self._journal.start(record)
        self._observers.trial_started(self._study, record)
        return self._defaults.job(number, self._plans[number])

    def is_done(self) -> bool:
        """Whether no trial is left; a running one may have to be given out again, since its worker may die."""
        return not self._running and (self._is_closed() or not (self._waiting or self._can_grow()))

    def on_event(self, event: StageEvent) -> None:
        """Notify the observers of a stage."""
        if isinstance(event, StageFinished):
            self._built.add(event.key)
        self._observers.stage(event)

    def on_finished(self, number: int, outcome: TrialOutcome) -> None:
        """Record how a trial ended; one that met a full disk waits again, and no other is tried."""
        running = self._running.pop(number)
        if outcome.disk_full:
            self._stopping, self._disk_error = True, outcome.error
            self._journal.wait(_reset(running))
            return
        record = attrs.evolve(
            running,
            state=outcome.state,
            metrics=outcome.metrics,
            error=outcome.error,
            seconds=outcome.seconds,
            device=outcome.device,
            planned=(),
            stages=outcome.stages,
        )
        for warning in outcome.warnings:
            if warning not in self._warnings:  # every worker logs its own
                self._warnings.add(warning)
                _log.warning("%s: %s", record.id, warning)
        self._keep_traceback(number, outcome.traceback)
        self._finish(record)
        if outcome.metric_missing and not self._has_complete():
            self._stopping, self._metric_error = True, outcome.error
        if outcome.failed_key is not None:
            self._failed[outcome.failed_key] = str(outcome.error)
            self._fail_dependents(outcome.failed_key)

    def on_lost(self, number: int, error: str) -> None:
        """Queue a trial again whose worker died; after several losses it fails."""
        record = self._running.pop(number)
        self._losses[number] = self._losses.get(number, 0) + 1
        if self._losses[number] < LOSSES:
            self._journal.wait(_reset(record))
            self._waiting[number] = _reset(record)
            self._given_out -= 1
        else:
            error = f"{error}, {LOSSES} times"
            self._finish(attrs.evolve(record, state=TrialState.FAILED, error=error, planned=()))

    def _queue(self, record: TrialRecord) -> None:
        try:
            plan = self._plan(record)
        except UserError as error:  # a drawn point that cannot run; the points of a grid were checked before
            self._fail(record, " ".join(str(error).split()))
            return
        self._plans[record.number] = plan
        self._built |= {key for key in plan.keys - self._built if self._stored(key)}
        self._waiting[record.number] = _reset(record)
        for key in plan.keys & self._failed.keys():
            self._fail_dependents(key)

    def _fail_dependents(self, key: str) -> None:
        """Fail the waiting trials that need a failed stage, with its error: it would fail again."""
        if self._is_closed():
            return
        for number in [n for n in self._waiting if key in self._plans[n].keys]:
            self._fail(self._waiting.pop(number), self._failed[key])

    def _fail(self, record: TrialRecord, error: str) -> None:
        record = attrs.evolve(_reset(record), state=TrialState.RUNNING)
        self._journal.start(record)
        self._observers.trial_started(self._study, record)
        self._finish(attrs.evolve(record, state=TrialState.FAILED, error=error))

    def _finish(self, record: TrialRecord) -> None:
        self._journal.finish(record)
        self._observers.trial_finished(self._updated_study(), record)
        self._stopping |= self._limits.fail_fast and record.state is TrialState.FAILED

    def _updated_study(self) -> StudyRecord:
        """The study with the stages that are still missing: a failed trial needs none any more."""
        if not self._study.missing:
            return self._study
        plans = [self._plans[number] for number in (*self._waiting, *self._running)]
        needed = frozenset().union(*(plan.keys for plan in plans)) - self._built
        missing = {key: kind for key, kind in self._study.missing.items() if key in needed}
        return attrs.evolve(self._study, missing=missing)

    def _is_closed(self) -> bool:
        """Whether this run of the command gives out no further trial."""
        return self._stopping or self._limits.max_trials == self._given_out

    def _has_complete(self) -> bool:
        """Whether some trial has the metrics."""
        return any(record.state is TrialState.COMPLETE for record in self._journal.records())

    def _can_grow(self) -> bool:
        """Whether a sampler has points left to draw."""
        return self._journal.planned > len(self._journal.records())

    def _keep_traceback(self, number: int, text: str | None) -> None:
        path = error_file(self._study.folder, number)
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def _candidate(self, number: int) -> Candidate:
        return Candidate(number=number, missing=self._plans[number].keys - self._built)

    def _in_progress(self) -> set[str]:
        """Keys of the stages that the running trials build."""
        keys: set[str] = set()
        return keys.union(*(self._plans[number].keys for number in self._running)) - self._built


def error_file(folder: Path, number: int) -> Path:
    """The file with the traceback of a failed trial, below the folder of its study."""
    return folder / "errors" / f"{trial_id(number)}.txt"


def _reset(record: TrialRecord) -> TrialRecord:
    return attrs.evolve(record, state=TrialState.WAITING, planned=(), stages=())


@frozen(kw_only=True)
class Candidate:
    """A waiting trial."""

    number: int
    missing: frozenset[str]  #: keys of its stages that are not stored


def choose(waiting: Iterable[Candidate], in_progress: AbstractSet[str]) -> int:
    """The number of the trial to give out next; `in_progress` holds the keys that other workers build.

    First a trial that needs no stage that another worker is about to build: two workers take different trunks instead
    of waiting for each other. Among those, the one with the most missing stages: it builds what others share, and no
    long chain is left for the end. Then the lowest number.

    >>> a, b, c = (Candidate(number=n, missing=frozenset(keys)) for n, keys in enumerate(["xy", "xyz", "uv"]))
    >>> choose([a, b, c], set()), choose([a, b, c], {"x"})
    (1, 2)

    Raises:
        ValueError: no trial waits.
    """
    best = min(waiting, key=lambda trial: (len(trial.missing & in_progress), -len(trial.missing), trial.number))
    return best.number
