"""One job after the other in this process: for tests, debuggers and machines without Ray."""

from __future__ import annotations

from bebertlab.study.executors.base import Executor, Host
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.trial import Bench


class LocalExecutor(Executor):
    """Runs jobs in this process."""

    def run(self, host: Host, interrupts: Interrupts) -> None:
        """Run every job; Ctrl-C stops the one that runs at once."""
        bench = Bench()
        while not host.is_done():
            with interrupts.shielded():
                job = host.next_job()
            if job is None:
                return  # nothing runs that could make another one possible
            outcome = bench.run(job, host.on_event)
            with interrupts.shielded():
                host.on_finished(job["number"], outcome)
