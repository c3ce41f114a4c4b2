from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from bebertlab.interfaces.events import StageEvent
from bebertlab.study.executors.local import LocalExecutor
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.job import TrialJob, TrialOutcome


class TrialSource:
    """Hands out numbers; `at` is called when a job is asked for."""

    def __init__(self, numbers: list[int], at: Callable[[], None] = lambda: None) -> None:
        self.numbers = numbers
        self.at = at
        self.finished: list[int] = []
        self.outcomes: list[TrialOutcome] = []

    def next_job(self) -> TrialJob | None:
        self.at()
        job: dict[str, Any] = {"plugins": [], "recipe": {}, "threads": 1, "device": "cpu", "store": "s", "result": ""}
        return {"number": self.numbers.pop(0), **job} if self.numbers else None

    def is_done(self) -> bool:
        return not self.numbers

    def on_event(self, event: StageEvent) -> None:
        raise AssertionError("a job without a recipe has no events")

    def on_finished(self, number: int, outcome: TrialOutcome) -> None:
        self.finished.append(number)
        self.outcomes.append(outcome)

    def on_lost(self, number: int, error: str) -> None:
        raise AssertionError("nothing is lost in one process")


def test_runs_jobs_in_the_order_of_the_host() -> None:
    host = TrialSource([3, 1, 2])
    LocalExecutor().run(host, Interrupts())
    assert host.finished == [3, 1, 2]
    assert all("task is missing" in outcome["error"] for outcome in host.outcomes)


def test_returns_where_the_host_has_nothing_now() -> None:
    host = TrialSource([])
    host.is_done = lambda: False  # type: ignore[method-assign]
    LocalExecutor().run(host, Interrupts())
    assert host.finished == []


def test_the_host_is_not_interrupted_in_the_middle() -> None:
    told = []

    def at() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        told.append("after the signal")

    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        LocalExecutor().run(TrialSource([1], at), interrupts)
    assert told == ["after the signal"]
