from __future__ import annotations

import logging
from pathlib import Path

import pluggy
import pytest

from bebertlab.interfaces.events import (
    StageEvent,
    StageFinished,
    StageProgress,
    StageStarted,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from bebertlab.interfaces.sampler import Objective
from bebertlab.registry.hookspecs import hookimpl, plugin_manager
from bebertlab.registry.observers import Observers

STARTED = StageStarted(stage="a", stage_kind="k", key="f")
EVENTS: tuple[StageEvent, ...] = (
    STARTED,
    StageProgress(stage="a", stage_kind="k", key="f", fraction=0.5),
    StageFinished(stage="a", stage_kind="k", key="f"),
)
TRIAL = TrialRecord(number=3, name="t003", parameters={}, seed=0, state=TrialState.WAITING)
STUDY = StudyRecord(
    name="s",
    digest="",
    description="",
    folder=Path("f"),
    work=Path("w"),
    identity={},
    resolved={},
    objectives=(Objective(),),
    axes={},
    seeds=(0,),
)


class Log:
    """Records the arguments of all calls."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    @hookimpl
    def bebertlab_study_started(self, study: StudyRecord) -> None:
        self.calls.append(study)

    @hookimpl
    def bebertlab_trial_started(self) -> None:  # pluggy: an implementation takes the arguments it wants
        self.calls.append("trial started")

    @hookimpl
    def bebertlab_stage_started(self, event: StageStarted) -> None:
        self.calls.append(("started", event))

    @hookimpl
    def bebertlab_stage_progress(self, event: StageProgress) -> None:
        self.calls.append(("progress", event))

    @hookimpl
    def bebertlab_stage_finished(self, event: StageFinished) -> None:
        self.calls.append(("finished", event))

    @hookimpl
    def bebertlab_trial_finished(self, trial: TrialRecord, study: StudyRecord) -> None:
        self.calls.append((study, trial))

    @hookimpl
    def bebertlab_study_finished(
        self, study: StudyRecord, trials: tuple[TrialRecord, ...], report: tuple[str, ...]
    ) -> None:
        self.calls.append((trials, report))


class Broken:
    @hookimpl
    def bebertlab_stage_started(self, event: StageStarted) -> None:
        raise ValueError("no such server")

    @hookimpl
    def bebertlab_trial_started(self, trial: TrialRecord) -> None:
        raise OSError("disk full")


def manager_of(*observers: object, **named: object) -> pluggy.PluginManager:
    manager = plugin_manager()
    for observer in observers:
        manager.register(observer)
    for name, observer in named.items():
        manager.register(observer, name=name)
    return manager


def test_every_hook_gets_its_arguments() -> None:
    log = Log()
    observers = Observers(manager_of(log))
    observers.study_started(STUDY)
    observers.trial_started(STUDY, TRIAL)
    for event in EVENTS:
        observers.stage(event)
    observers.trial_finished(STUDY, TRIAL)
    observers.study_finished(STUDY, (TRIAL,), (Path("report.md"),))
    assert log.calls == [
        STUDY,
        "trial started",
        *zip(("started", "progress", "finished"), EVENTS, strict=True),
        (STUDY, TRIAL),
        ((TRIAL,), ("report.md",)),
    ]


def test_an_observer_that_raises_is_named_once_and_the_others_are_called(caplog: pytest.LogCaptureFixture) -> None:
    before, after, broken = Log(), Log(), Broken()
    manager = manager_of(before, **{"lab 1.0:mine": broken})
    manager.register(after)
    observers = Observers(manager)
    with caplog.at_level(logging.WARNING):
        observers.stage(STARTED)
        observers.stage(STARTED)
        observers.trial_started(STUDY, TRIAL)
    assert before.calls == after.calls == [("started", STARTED), ("started", STARTED), "trial started"]
    assert caplog.messages == ["plugin 'mine' failed in bebertlab_stage_started: ValueError: no such server"]


def test_an_observer_without_a_name_is_named_by_its_class(caplog: pytest.LogCaptureFixture) -> None:
    Observers(manager_of(Broken())).stage(STARTED)
    assert caplog.messages == ["observer Broken failed in bebertlab_stage_started: ValueError: no such server"]


class Exits:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    @hookimpl
    def bebertlab_stage_started(self) -> None:
        raise self.error("1")


def test_an_observer_that_exits_does_not_end_the_command(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    Observers(manager_of(Exits(SystemExit), log)).stage(STARTED)
    assert log.calls == [("started", STARTED)]
    assert caplog.messages == ["observer Exits failed in bebertlab_stage_started: SystemExit: 1"]
    with pytest.raises(KeyboardInterrupt):
        Observers(manager_of(Exits(KeyboardInterrupt))).stage(STARTED)
