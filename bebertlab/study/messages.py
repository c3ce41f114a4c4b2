"""Messages between the driver and its workers, and how they and the records of a journal become plain data and back.

Only plain data travel between processes: a worker loads one-file plugins itself, so their classes are not the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from attrs import field, frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.events import (
    PlannedStage,
    StageEvent,
    StageFinished,
    StageProgress,
    StageResult,
    StageStarted,
    TrialState,
)
from bebertlab.registry.registry import Registry

T = TypeVar("T")

_CODEC = OptionsCodec(Registry(), finite=False)  # a metric may be NaN
_EVENTS: Mapping[str, type[StageEvent]] = {
    "started": StageStarted,
    "progress": StageProgress,
    "finished": StageFinished,
}
_EVENT = "event"


@frozen(kw_only=True)
class TrialJob:
    """A trial for a worker."""

    number: int  #: of the trial
    recipe: Mapping[str, Any]  #: plain data of the recipe at the trial's point and seed
    result: str  #: key of the stage whose metrics are the trial's
    metrics: tuple[str, ...]  #: those that trials are compared by; the result must have them
    store: Path
    plugins: tuple[Path, ...] = ()  #: files of one-file plugins
    threads: int = 1  #: of torch
    device: str = "cpu"
    save_state_minutes: float = 5.0  #: between two saved states of a training; 0: none is saved


@frozen(kw_only=True)
class TrialOutcome:
    """How a worker's trial ended."""

    state: TrialState  #: complete or failed
    metrics: Mapping[str, float] = field(factory=dict)  #: of a complete trial
    stages: tuple[StageResult, ...] = ()  #: the finished ones, in the order of the plan
    seconds: float = 0.0  #: of the stages that ran
    device: str | None = None  #: that stages ran on, e.g. "cuda:0 (GPU 1, NVIDIA H200)"
    error: str | None = None  #: one line
    traceback: str | None = None
    failed_key: str | None = None  #: of the stage that failed
    metric_missing: bool = False  #: all stages finished, but the result lacks a metric: other trials will lack it too
    disk_full: bool = False  #: a file could not be written for lack of space: the trial is not to blame
    warnings: tuple[str, ...] = ()  #: that the worker logged


@frozen(kw_only=True, eq=False)
class PlannedTrial:
    """What a trial will run."""

    recipe: Mapping[str, Any]  #: plain data of the recipe at the trial's point and seed
    stages: tuple[PlannedStage, ...]  #: in the order of the plan
    result: str  #: key of the stage whose metrics are the trial's

    @property
    def keys(self) -> frozenset[str]:
        """Keys of its stages."""
        return frozenset(stage.key for stage in self.stages)


@frozen(kw_only=True)
class JobDefaults:
    """What the jobs of one run of the command have in common."""

    metrics: tuple[str, ...]  #: those that trials are compared by
    store: Path
    plugins: tuple[Path, ...] = ()  #: files of one-file plugins
    threads: int = 1
    device: str = "cpu"
    save_state_minutes: float = 5.0

    def job(self, number: int, planned: PlannedTrial) -> TrialJob:
        """The job of a trial."""
        return TrialJob(
            number=number,
            recipe=planned.recipe,
            result=planned.result,
            metrics=self.metrics,
            store=self.store,
            plugins=self.plugins,
            threads=self.threads,
            device=self.device,
            save_state_minutes=self.save_state_minutes,
        )


def dump(message: object) -> Any:  # noqa: ANN401 - plain data
    """A message or record as plain data.

    >>> dump(PlannedStage(stage="merge", stage_kind="merge", key="3f"))
    {'stage': 'merge', 'stage_kind': 'merge', 'key': '3f'}
    """
    return _CODEC.dump(message)


def load(data: object, cls: type[T]) -> T:
    """A message or record of plain data.

    Raises:
        UserError: the data are not those of such a message.
    """
    return _CODEC.load(data, cls)


def dump_event(event: StageEvent) -> dict[str, Any]:
    """An event as plain data, with its type."""
    (name,) = (name for name, cls in _EVENTS.items() if type(event) is cls)
    return {_EVENT: name, **dump(event)}


def load_event(data: Mapping[str, Any]) -> StageEvent:
    """An event of plain data."""
    fields = {key: value for key, value in data.items() if key != _EVENT}
    return load(fields, _EVENTS[data[_EVENT]])
