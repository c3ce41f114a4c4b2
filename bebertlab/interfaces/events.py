"""What observers are told."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import field, frozen


class TrialState(StrEnum):
    """How a trial stands."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


class StagePhase(StrEnum):
    """What a stage event tells."""

    STARTED = "started"
    PROGRESS = "progress"
    FINISHED = "finished"


@frozen(kw_only=True)
class StageEvent:
    """A stage started, went on or finished."""

    stage: str
    stage_kind: str
    key: str
    phase: StagePhase = StagePhase.FINISHED
    trial: int | None = None  #: number of the trial; None outside a study
    fraction: float = 0.0  #: part done, 0 to 1
    text: str = ""  #: e.g. "epoch 2/3"
    stored: bool = False  #: it was in the store and did not run
    seconds: float = 0.0  #: what making it took, also where it was stored
    metrics: Mapping[str, float] = field(factory=dict)  #: of a finished stage
    warnings: tuple[str, ...] = ()  #: of a finished stage, the stored ones included


@frozen(kw_only=True)
class TrialRecord:
    """One point of a study with one seed."""

    number: int
    name: str  #: e.g. "t007 members.ensemble=boosting members.size=2 seed=1"
    parameters: Mapping[str, Any]  #: searched paths to values
    seed: int
    state: TrialState
    metrics: Mapping[str, float] = field(factory=dict)  #: e.g. "validation/score"
    error: str | None = None  #: one line: where and what
    seconds: float = 0.0  #: wall time of the trial itself, stored stages excluded
    stages: tuple[StageEvent, ...] = ()  #: in the order of the plan


@frozen(kw_only=True)
class Question:
    """Something a study asks; the report answers it with paired differences over seeds.

    Trials are paired with the baseline's trial of the same seed and the same values on every other axis. Where
    `exclude` leaves the baseline one value of an option of the same stage (a single model has one size only), it is
    compared with every value, each by itself, and the report says so.
    """

    text: str  #: as a person would ask it
    compare: str  #: searched path
    baseline: Any = None  #: value to compare with; None compares each value with the one before it
    cost: str | None = None  #: stage or group whose training seconds are compared beside the score
    #: other searched paths to the values that count: one, a list, or `{not: ...}` of these. A value of `compare` that
    #: can have only one value there (a single model has size 1) is exempt where the question has a baseline
    where: Mapping[str, Any] | None = None
    by: str | None = None  #: another searched path; the question is answered for each of its values by itself


@frozen(kw_only=True)
class StudyRecord:
    """A study as observers see it."""

    name: str
    digest: str  #: of the resolved study; another digest is another study
    description: str
    folder: Path  #: work folder of this study
    work: Path  #: work folder that studies share (store, MLflow database)
    plugin_files: tuple[str, ...] = ()  #: of one-file plugins and what they import: copies below `folder`, POSIX paths
    identity: Mapping[str, str]  #: task, encoder, recipe ..., repeated on every trial
    resolved: str  #: the resolved study as YAML
    objective: str  #: name of the metric
    maximize: bool
    axes: Mapping[str, tuple[Any, ...]]  #: searched paths to the values seen or listed, in the study's order
    seeds: tuple[int, ...]
    questions: tuple[Question, ...] = ()
    generated: bool = False  #: the task's text is made up by a grammar
    planned: int | None = None  #: trials in all; None where that is not known
    finished: int = 0  #: trials that had finished before this run of the command
    missing: Mapping[str, str] = field(factory=dict)  #: stages still to be made, key to kind; empty for a sampler
    warnings: tuple[str, ...] = ()  #: what the user must know of the study as it is written
    not_needed: tuple[str, ...] = ()  #: stages of the recipe that the result needs in no trial, and that are not run
    idle: tuple[str, ...] = ()  #: a sentence on each searched option that changes no result
