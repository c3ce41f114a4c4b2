"""What a worker is given: plain data, since objects of one-file plugins do not travel between processes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from bebertlab.interfaces.events import StageEvent

TrialJob = Mapping[str, Any]
"""Plain data that a worker makes a trial of; `number` is the trial's."""

TrialOutcome = Mapping[str, Any]
"""Plain data that a worker makes of a job (see `trial.py`)."""


@frozen(kw_only=True, eq=False)
class PlannedTrial:
    """What a trial will run."""

    recipe: Mapping[str, Any]  #: plain data of the recipe at the trial's point and seed
    stages: tuple[StageEvent, ...]  #: in the order of the plan, none of them told yet
    result: str  #: key of the stage whose metrics are the trial's

    @property
    def keys(self) -> frozenset[str]:
        """Keys of its stages."""
        return frozenset(stage.key for stage in self.stages)


@frozen(kw_only=True)
class JobDefaults:
    """What all jobs of one run of the command have in common."""

    metric: str  #: of the result stage, that trials are compared by
    store: Path
    plugins: tuple[str, ...] = ()  #: files of one-file plugins
    threads: int = 1
    device: str = "cpu"

    def job(self, number: int, planned: PlannedTrial) -> dict[str, Any]:
        """The job of a trial."""
        return {
            "number": number,
            "recipe": planned.recipe,
            "result": planned.result,
            "metric": self.metric,
            "store": str(self.store),
            "plugins": list(self.plugins),
            "threads": self.threads,
            "device": self.device,
        }


@frozen(kw_only=True)
class Limits:
    """How far one run of the command goes."""

    max_trials: int | None = None  #: trials to hand out at most
    fail_fast: bool = False  #: hand out nothing more once a trial has failed
