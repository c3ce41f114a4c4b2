"""What an executor is, and the one that runs trials in this process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from bebertlab.interfaces.events import StageEvent
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.messages import TrialJob, TrialOutcome
from bebertlab.study.trial import TrialRunner


class TrialSource(Protocol):
    """Gives trials to an executor: the driver. Called only in the thread that called `Executor.run`."""

    def next_job(self) -> TrialJob | None:
        """The next trial; None where none can be given out now."""

    def is_done(self) -> bool:
        """Whether no further trial will be given out."""

    def on_event(self, event: StageEvent) -> None:
        """A stage of a running trial started, reports progress, or finished."""

    def on_finished(self, number: int, outcome: TrialOutcome) -> None:
        """A trial ended."""

    def on_lost(self, number: int, error: str) -> None:
        """The worker of a trial died; `next_job` may give out the trial again."""


class Executor(ABC):
    """Runs the trials of a source until there are no more."""

    @abstractmethod
    def run(self, source: TrialSource, interrupts: Interrupts) -> None:
        """Run every trial; return when the source is done and every trial that was given out has ended.

        Raises:
            KeyboardInterrupt: the user interrupted; no trial runs any more.
        """


class LocalExecutor(Executor):
    """Runs one trial after another in this process: for tests, debuggers and machines without Ray."""

    def run(self, source: TrialSource, interrupts: Interrupts) -> None:
        """Run every trial; Ctrl-C stops the running one at once."""
        runner = TrialRunner()
        while not source.is_done():
            with interrupts.shielded():
                job = source.next_job()
            if job is None:
                return  # nothing runs whose end could make another trial possible
            outcome = runner.run(job, source.on_event)
            with interrupts.shielded():
                source.on_finished(job.number, outcome)
