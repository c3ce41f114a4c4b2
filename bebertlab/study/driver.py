"""The driver: hands out the trials of a journal, writes down what came of them, and tells the observers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

import attrs
from attrs import frozen

from bebertlab.errors import UserError
from bebertlab.interfaces.events import StageEvent, StagePhase, StudyRecord, TrialRecord, TrialState
from bebertlab.store.disk import DiskFull
from bebertlab.study.executors.base import Executor
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.job import JobDefaults, Limits, PlannedTrial, TrialJob, TrialOutcome
from bebertlab.study.journal import Journal
from bebertlab.study.observers import Observers
from bebertlab.study.record import load_event

_log = logging.getLogger(__name__)

#: times that a worker may die on one trial until the trial is taken to be what kills it
LOSSES = 3


class Driver:
    """The host of an executor. Needs a journal that nobody else writes."""

    def __init__(
        self,
        *,
        study: StudyRecord,
        journal: Journal,
        order: JobDefaults,
        limits: Limits,
        observers: Observers,
        plan: Callable[[TrialRecord], PlannedTrial],
        stored: Callable[[str], bool],
    ) -> None:
        self._study = study
        self._journal = journal
        self._order = order
        self._limits = limits
        self._observers = observers
        self._plan = plan
        self._stored = stored
        self._plans: dict[int, PlannedTrial] = {}
        self._waiting: dict[int, TrialRecord] = {}
        self._running: dict[int, TrialRecord] = {}
        self._made: set[str] = set()  # keys known to be stored
        self._failed: dict[str, str] = {}  # keys of failed stages to their errors
        self._warnings: set[str] = set()  # those of workers, as printed
        self._losses: dict[int, int] = {}
        self._handed_out = 0
        self._stopping = False
        self._hopeless: str | None = None  # why no trial would have a metric
        self._full: str | None = None  # where there is no room left

    def run(self, executor: Executor, interrupts: Interrupts) -> None:
        """Run what waits.

        Raises:
            KeyboardInterrupt: the user stopped it; what ran waits again.
            UserError: the first result has no such metric; the other trials wait.
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
                self._journal.wait(_afresh(record))
        if self._full is not None:
            raise DiskFull(self._full)
        if self._hopeless is not None:
            raise UserError(f"objective.metric: {self._hopeless}")

    def next_job(self) -> TrialJob | None:
        """Hand out the next trial."""
        if self._is_closed():
            return None
        if not self._waiting and self._can_grow():
            for record in self._journal.extend():
                self._queue(record)
        if not self._waiting:
            return None
        number = choose(map(self._candidate, self._waiting), self._busy())
        record = attrs.evolve(self._waiting.pop(number), state=TrialState.RUNNING, stages=self._plans[number].stages)
        self._running[number] = record
        self._handed_out += 1
        self._journal.start(record)
        self._observers.tell("trial_started", study=self._study, trial=record)
        return self._order.job(number, self._plans[number])

    def is_done(self) -> bool:
        """Whether nothing is left to hand out; a running trial may come back, for its worker may die."""
        return not self._running and (self._is_closed() or not (self._waiting or self._can_grow()))

    def on_event(self, event: StageEvent) -> None:
        """Tell the observers of a stage."""
        if event.phase is StagePhase.STARTED:
            self._observers.tell("stage_started", event=event)
        elif event.phase is StagePhase.PROGRESS:
            self._observers.tell("stage_progress", event=event)
        else:
            self._made.add(event.key)
            self._observers.tell("stage_finished", event=event)

    def on_finished(self, number: int, outcome: TrialOutcome) -> None:
        """Write down how a trial ended; one that met a full disk waits again, and the others are not tried."""
        if outcome.get("disk_full"):
            self._stopping, self._full = True, str(outcome["error"])
            self._journal.wait(_afresh(self._running.pop(number)))
            return
        record = attrs.evolve(
            self._running.pop(number),
            state=TrialState(outcome["state"]),
            metrics=outcome["metrics"],
            error=outcome["error"],
            seconds=outcome["seconds"],
            stages=tuple(load_event(stage) for stage in outcome["stages"]),
        )
        for warning in outcome.get("warnings", ()):
            if warning not in self._warnings:  # every worker gives its own
                self._warnings.add(warning)
                _log.warning("%s: %s", record.name.split()[0], warning)
        self._keep_traceback(number, outcome["traceback"])
        self._finish(record)
        if outcome.get("metric_missing") and not self._has_complete():
            self._stopping, self._hopeless = True, record.error
        key = outcome["failed_key"]
        if key is not None:
            self._failed[key] = str(record.error)
            self._give_up_shared(key)

    def on_lost(self, number: int, error: str) -> None:
        """Queue a trial again whose worker died, or give it up."""
        record = self._running.pop(number)
        self._losses[number] = self._losses.get(number, 0) + 1
        if self._losses[number] < LOSSES:
            self._journal.wait(_afresh(record))
            self._waiting[number] = _afresh(record)
            self._handed_out -= 1
        else:
            error = f"{error}, {LOSSES} times"
            self._finish(attrs.evolve(record, state=TrialState.FAILED, error=error, stages=()))

    def _queue(self, record: TrialRecord) -> None:
        try:
            plan = self._plan(record)
        except UserError as error:  # a drawn point that cannot run; a grid was looked at before
            self._tell_failed(record, " ".join(str(error).split()))
            return
        self._plans[record.number] = plan
        self._made |= {key for key in plan.keys - self._made if self._stored(key)}
        self._waiting[record.number] = _afresh(record)
        for key in plan.keys & self._failed.keys():
            self._give_up_shared(key)

    def _give_up_shared(self, key: str) -> None:
        """Fail the waiting trials that need a stage that failed, with its error: it would fail again."""
        if self._is_closed():
            return
        for number in [n for n in self._waiting if key in self._plans[n].keys]:
            self._tell_failed(self._waiting.pop(number), self._failed[key])

    def _tell_failed(self, record: TrialRecord, error: str) -> None:
        record = attrs.evolve(_afresh(record), state=TrialState.RUNNING)
        self._journal.start(record)
        self._observers.tell("trial_started", study=self._study, trial=record)
        self._finish(attrs.evolve(record, state=TrialState.FAILED, error=error))

    def _finish(self, record: TrialRecord) -> None:
        self._journal.finish(record)
        self._observers.tell("trial_finished", study=self._as_it_is(), trial=record)
        self._stopping |= self._limits.fail_fast and record.state is TrialState.FAILED

    def _as_it_is(self) -> StudyRecord:
        """The study with the stages that are still to be made: a failed trial needs none of its own any more."""
        if not self._study.missing:
            return self._study
        plans = [self._plans[number] for number in (*self._waiting, *self._running)]
        needed = frozenset().union(*(plan.keys for plan in plans)) - self._made
        missing = {key: kind for key, kind in self._study.missing.items() if key in needed}
        return attrs.evolve(self._study, missing=missing)

    def _is_closed(self) -> bool:
        """Whether this run of the command hands out nothing more."""
        return self._stopping or self._limits.max_trials == self._handed_out

    def _has_complete(self) -> bool:
        """Whether some trial has the metric."""
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
        return Candidate(number=number, missing=self._plans[number].keys - self._made)

    def _busy(self) -> set[str]:
        """What the running trials are going to make."""
        keys: set[str] = set()
        return keys.union(*(self._plans[number].keys for number in self._running)) - self._made


def error_file(folder: Path, number: int) -> Path:
    """Where the traceback of a failed trial is, below the folder of its study."""
    return folder / "errors" / f"t{number:03d}.txt"


def _afresh(record: TrialRecord) -> TrialRecord:
    return attrs.evolve(record, state=TrialState.WAITING, stages=())


@frozen(kw_only=True)
class Candidate:
    """A trial that waits."""

    number: int
    missing: frozenset[str]  #: keys of its stages that are not stored


def choose(waiting: Iterable[Candidate], busy: AbstractSet[str]) -> int:
    """The number of the trial to hand out next; `busy` holds the keys that other workers will make.

    First a trial that needs nothing another worker is about to make: two workers take different trunks instead of
    waiting for each other. Among those the one with the most left to do: it makes what others share, and no long
    chain is left for the end. Then the lowest number.

    >>> a, b, c = (Candidate(number=n, missing=frozenset(keys)) for n, keys in enumerate(["xy", "xyz", "uv"]))
    >>> choose([a, b, c], set()), choose([a, b, c], {"x"})
    (1, 2)

    Raises:
        ValueError: nothing waits.
    """
    best = min(waiting, key=lambda trial: (len(trial.missing & busy), -len(trial.missing), trial.number))
    return best.number
