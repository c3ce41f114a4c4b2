"""One job after the other in this process: for tests, debuggers and machines without Ray."""

from __future__ import annotations

from bebertlab.study.executors.base import Executor, TrialSource
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.trial import TrialRunner


class LocalExecutor(Executor):
    """Runs jobs in this process."""

    def run(self, host: TrialSource, interrupts: Interrupts) -> None:
        """Run every job; Ctrl-C stops the one that runs at once."""
        bench = TrialRunner()
        while not host.is_done():
            with interrupts.shielded():
                job = host.next_job()
            if job is None:
                return  # nothing runs that could make another one possible
            outcome = bench.run(job, host.on_event)
            with interrupts.shielded():
                host.on_finished(job["number"], outcome)
