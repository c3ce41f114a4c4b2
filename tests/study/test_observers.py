from __future__ import annotations

import logging

import pytest

from bebertlab.interfaces.events import StageEvent
from bebertlab.registry.hookspecs import hookimpl, plugin_manager
from bebertlab.study.observers import Observers

EVENT = StageEvent(stage="a", stage_kind="k", key="f")


class Broken:
    @hookimpl
    def bebertlab_stage_started(self, event: StageEvent) -> None:
        raise ValueError("no such server")


class Log:
    def __init__(self) -> None:
        self.told: list[object] = []

    @hookimpl
    def bebertlab_stage_started(self, event: StageEvent) -> None:
        self.told.append(event)

    @hookimpl
    def bebertlab_trial_started(self) -> None:  # pluggy: an implementation takes the arguments it wants
        self.told.append("trial")


def test_one_that_raises_is_named_once_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    manager = plugin_manager()
    before, after = Log(), Log()
    manager.register(before)
    manager.register(Broken(), name="mine")
    manager.register(after)
    observers = Observers(manager.hook)
    with caplog.at_level(logging.WARNING):
        observers.tell("stage_started", event=EVENT)
        observers.tell("stage_started", event=EVENT)
        observers.tell("trial_started", study=None, trial=None)
    assert before.told == after.told == [EVENT, EVENT, "trial"]
    assert caplog.messages == ["plugin 'mine' failed in bebertlab_stage_started: ValueError: no such server"]
