"""What an executor is, and what it is told by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from bebertlab.interfaces.events import StageEvent
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.job import TrialJob, TrialOutcome


class TrialSource(Protocol):
    """Who hands out jobs: the driver. All of it is called in the thread that called `Executor.run`."""

    def next_job(self) -> TrialJob | None:
        """The next job; None where nothing can be handed out now."""

    def is_done(self) -> bool:
        """Whether nothing will be handed out any more."""

    def on_event(self, event: StageEvent) -> None:
        """A stage of a running job started, went on or finished."""

    def on_finished(self, number: int, outcome: TrialOutcome) -> None:
        """A job ended, well or not."""

    def on_lost(self, number: int, error: str) -> None:
        """The worker of a job died; the job may be handed out again."""


class Executor(ABC):
    """Runs the jobs of a host until there are no more."""

    @abstractmethod
    def run(self, host: TrialSource, interrupts: Interrupts) -> None:
        """Run every job; return when the host is done and everything handed out has ended.

        Raises:
            KeyboardInterrupt: the user stopped it; nothing runs any more.
        """
