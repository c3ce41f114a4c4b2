from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bebertlab.interfaces.events import StageEvent
from bebertlab.study.executors.base import LocalExecutor
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.messages import TrialJob, TrialOutcome


class Numbers:
    """A source of trials without a recipe; `at` is called on each request."""

    def __init__(self, numbers: list[int], at: Callable[[], None] = lambda: None) -> None:
        self.numbers = numbers
        self.at = at
        self.finished: list[int] = []
        self.outcomes: list[TrialOutcome] = []

    def next_job(self) -> TrialJob | None:
        self.at()
        if not self.numbers:
            return None
        return TrialJob(number=self.numbers.pop(0), recipe={}, result="", metrics=(), store=Path("s"))

    def is_done(self) -> bool:
        return not self.numbers

    def on_event(self, event: StageEvent) -> None:
        raise AssertionError("a trial without a recipe has no events")

    def on_finished(self, number: int, outcome: TrialOutcome) -> None:
        self.finished.append(number)
        self.outcomes.append(outcome)

    def on_lost(self, number: int, error: str) -> None:
        raise AssertionError("nothing is lost in one process")


def test_trials_run_in_the_order_of_the_source() -> None:
    source = Numbers([3, 1, 2])
    LocalExecutor().run(source, Interrupts())
    assert source.finished == [3, 1, 2]
    assert all("task is missing" in str(outcome.error) for outcome in source.outcomes)


def test_the_loop_ends_where_the_source_has_no_trial() -> None:
    source = Numbers([])
    source.is_done = lambda: False  # type: ignore[method-assign]
    LocalExecutor().run(source, Interrupts())
    assert source.finished == []


def test_interrupts_wait_for_the_source() -> None:
    calls = []

    def at() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        calls.append("after the signal")

    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        LocalExecutor().run(Numbers([1], at), interrupts)
    assert calls == ["after the signal"]
