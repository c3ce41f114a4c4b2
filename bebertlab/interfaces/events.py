"""Events and records that observers receive."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import asdict, field, fields, frozen

from bebertlab.interfaces.metric_names import MetricInfo
from bebertlab.interfaces.sampler import Constraint, Objective
from bebertlab.interfaces.task import Caveat


def _read_only(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A copy that an observer cannot change for those that receive the same event or record after it."""
    return MappingProxyType(dict(values))


class TrialState(StrEnum):
    """The state of a trial."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


def trial_id(number: int) -> str:
    """The short name of a trial in files and messages.

    >>> trial_id(7)
    't007'
    """
    return f"t{number:03d}"


@frozen(kw_only=True)
class PlannedStage:
    """A stage that a trial will run, or find in the store."""

    stage: str  #: name in the recipe, e.g. "members.0"
    stage_kind: str  #: kind of the stage in YAML, e.g. "distill"
    key: str  #: of its artifact in the store


@frozen(kw_only=True)
class StageResult(PlannedStage):
    """The result of a finished stage, as recorded by a trial."""

    stored: bool = False  #: it was in the store and did not run
    seconds: float = 0.0  #: build time, also of a stored stage
    metrics: Mapping[str, float] = field(factory=dict, converter=_read_only)  #: of its `metrics.json`
    warnings: tuple[str, ...] = ()  #: warnings about the artifact; a stored stage repeats them


@frozen(kw_only=True)
class StageStarted(PlannedStage):
    """A stage begins to run."""

    trial: int | None = None  #: number of the trial; None outside a study


@frozen(kw_only=True)
class StageProgress(PlannedStage):
    """A running stage reports its progress and measured values."""

    trial: int | None = None  #: number of the trial; None outside a study
    fraction: float = 0.0  #: completed, 0 to 1
    text: str = ""  #: e.g. "epoch 2/3"
    values: Mapping[str, float] = field(
        factory=dict, converter=_read_only
    )  #: measured values, e.g. {"train/loss": 0.31, "select/score": 84.2}
    step: int | None = None  #: optimizer steps so far, the axis of `values`; None without steps
    epoch: float | None = None  #: epochs so far; 1.5 is the middle of the second


@frozen(kw_only=True)
class StageFinished(StageResult):
    """A stage finished, or was found in the store."""

    trial: int | None = None  #: number of the trial; None outside a study

    @classmethod
    def of(cls, result: StageResult, trial: int | None) -> StageFinished:
        """The event for a result."""
        return cls(**asdict(result, recurse=False), trial=trial)

    @property
    def result(self) -> StageResult:
        """The event without its trial."""
        return StageResult(**{field.name: getattr(self, field.name) for field in fields(StageResult)})


StageEvent = StageStarted | StageProgress | StageFinished
"""An event of a stage while a recipe runs."""


@frozen(kw_only=True)
class TrialRecord:
    """One point of a study with one seed."""

    number: int
    name: str  #: e.g. "t007 members.ensemble=boosting members.size=2 seed=1"
    parameters: Mapping[str, Any] = field(converter=_read_only)  #: searched paths to values
    seed: int
    state: TrialState
    metrics: Mapping[str, float] = field(factory=dict, converter=_read_only)  #: e.g. "validation/score"
    error: str | None = None  #: one line: where and what
    seconds: float = 0.0  #: wall time of the trial itself, stored stages excluded
    device: str | None = None  #: that its stages ran on; None if none ran
    planned: tuple[PlannedStage, ...] = ()  #: of a running trial: its stages, in the order of the plan
    stages: tuple[StageResult, ...] = ()  #: of a complete or failed trial: the finished ones, in the order of the plan

    @property
    def id(self) -> str:
        """The trial's short name, e.g. "t007"."""
        return trial_id(self.number)


@frozen(kw_only=True)
class Question:
    """A question of a study; the report answers it with paired differences over seeds.

    Trials are paired with the baseline's trial of the same seed and the same values on every other axis. Where
    `exclude` leaves the baseline one value of an option of the same stage (a single model has one size only), it is
    compared with every value separately, and the report mentions this.
    """

    text: str  #: in plain language
    compare: str  #: searched path
    baseline: Any = None  #: value to compare with; None compares each value with the previous one
    cost: str | None = None  #: stage or group whose training seconds are compared in addition to the score
    #: other searched paths to the values that count: one, a list, or `{not: ...}` of these. A value of `compare` that
    #: can have only one value there (a single model has size 1) is exempt where the question has a baseline
    where: Mapping[str, Any] | None = None
    by: str | None = None  #: another searched path; the question is answered for each of its values separately


@frozen(kw_only=True)
class StudyRecord:
    """A study as observers see it."""

    name: str
    digest: str  #: of the resolved study; another digest is another study
    description: str
    folder: Path  #: work folder of this study
    work: Path  #: work folder that studies share (store, MLflow database)
    plugin_files: tuple[str, ...] = ()  #: of one-file plugins and what they import: copies below `folder`, POSIX paths
    identity: Mapping[str, str] = field(converter=_read_only)  #: task, encoder, recipe ..., repeated on every trial
    #: the study as plain data: defaults filled in, overrides applied, the recipe inside
    resolved: Mapping[str, Any] = field(converter=_read_only)
    objectives: tuple[Objective, ...]  #: metrics by which trials are compared; the first is the primary one
    constraints: tuple[
        Constraint, ...
    ] = ()  #: limits on metrics; a point whose means over seeds break one is never best
    #: searched paths to the values seen or listed, in the study's order
    axes: Mapping[str, tuple[Any, ...]] = field(converter=_read_only)
    seeds: tuple[int, ...]
    questions: tuple[Question, ...] = ()
    is_smoke: bool = False  #: whether it is the small version that --smoke runs
    caveats: tuple[Caveat, ...] = ()  #: caveats of the data of every searched task
    metrics: tuple[MetricInfo, ...] = ()  #: description of the metrics of the task, by their names in it
    planned: int | None = None  #: trials in all; None if unknown
    finished: int = 0  #: trials that had finished before this run of the command
    missing: Mapping[str, str] = field(
        factory=dict, converter=_read_only
    )  #: stages that are not built yet, key to kind; empty for a sampler
    warnings: tuple[str, ...] = ()  #: warnings about the study file
    not_needed: tuple[str, ...] = ()  #: stages of the recipe that the result needs in no trial, and that are not run
    idle: tuple[str, ...] = ()  #: one sentence about each searched option that changes no result

    @property
    def objective(self) -> str:
        """The metric of the primary objective."""
        return self.objectives[0].metric

    @property
    def maximize(self) -> bool:
        """Whether the primary objective is maximized."""
        return self.objectives[0].maximize
