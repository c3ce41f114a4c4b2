"""Running a study from start to end: journal, executor, observers, report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from bebertlab.errors import UserError
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.pipeline.execute import SAVE_STATE_MINUTES
from bebertlab.processors import processors
from bebertlab.store.disk import naming_full_disk
from bebertlab.study.context import StudyContext
from bebertlab.study.devices import count_gpus
from bebertlab.study.driver import Limits
from bebertlab.study.executors.base import Executor, LocalExecutor
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.journal import open_journal

Report = Callable[[StudyRecord, tuple[TrialRecord, ...]], tuple[Path, ...]]
"""Writes the report and returns its files."""


@frozen(kw_only=True)
class Workers:
    """How trials run."""

    kind: str  #: local or ray
    jobs: int  #: trials at a time
    threads: int  #: of torch in each of them
    device: str
    save_state_minutes: float = SAVE_STATE_MINUTES  #: between two saved states of a training; 0: none is saved

    @classmethod
    def asked(
        cls,
        kind: str,
        jobs: int | None,
        *,
        threads: int,
        device: str,
        save_state_minutes: float = SAVE_STATE_MINUTES,
    ) -> Workers:
        """The workers that a user asks for; by default one for each usable GPU, or core on a CPU.

        Raises:
            UserError: several jobs in one process, or an unknown device.
            SetupError: there is no such device.
        """
        if kind == "local" and jobs not in (None, 1):
            raise UserError(f"--executor local runs one trial at a time; --jobs {jobs} needs --executor ray")
        gpus = count_gpus(device)
        if kind == "local":
            jobs = 1
        usable = processors().usable
        return cls(
            kind=kind,
            jobs=jobs or gpus or max(1, usable // threads),
            threads=threads,
            device=device,
            save_state_minutes=save_state_minutes,
        )

    def executor(self, trials: int) -> Executor:
        """An executor for a number of trials."""
        if self.kind == "local":
            return LocalExecutor()
        from bebertlab.study.executors.ray import RayExecutor

        jobs = min(self.jobs, max(1, trials))
        return RayExecutor(jobs=jobs, threads=self.threads, gpus=count_gpus(self.device), device=self.device)


@frozen(kw_only=True)
class Finished:
    """The result of one run of the command."""

    study: StudyRecord
    trials: tuple[TrialRecord, ...]
    report: tuple[Path, ...]  #: files of the report; none where the user interrupted
    interrupted: bool

    def count(self, state: TrialState) -> int:
        """Trials in a state."""
        return sum(trial.state is state for trial in self.trials)


def run_study(context: StudyContext, workers: Workers, report: Report, limits: Limits) -> Finished:
    """Run the trials that are left of a study, then write its report. Starts no workers where none is left.

    Raises:
        UserError: a point cannot run, raised before anything runs; or the first result lacks a metric.
        SetupError: data are missing, another process runs the study, the store cannot be written, or the disk is full.
    """
    with (
        naming_full_disk(context.work),
        Interrupts() as interrupts,
        open_journal(context.study, context.folder) as journal,
    ):
        journal.extend()
        if context.study.is_listed:
            context.check_plans(journal.records())
        else:
            context.check_drawn(journal.records())
        context.open_again(journal)
        record = context.observed(journal)
        left = journal.planned - record.finished
        if left:
            context.store.check_writable()
        context.write_resolved(record)
        context.observers.study_started(record)
        interrupted = False
        if left:
            try:
                context.run(journal, record, workers.executor(left), interrupts, limits, workers.save_state_minutes)
            except KeyboardInterrupt:
                interrupted = True
        trials = journal.records()
        files = () if interrupted else report(record, trials)
        context.observers.study_finished(record, trials, files)
    return Finished(study=record, trials=trials, report=files, interrupted=interrupted)
