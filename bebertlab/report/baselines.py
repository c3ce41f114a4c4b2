"""What majority and chance score, for the tables of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from bebertlab.artifacts.learned import CHANCE, MAJORITY
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.report.rows import identity

_TASK = "task"  #: what axes begin with that decide which task it is


@frozen(kw_only=True, eq=False)
class Baseline:
    """What can be scored without reading the texts of a task."""

    name: str
    parameters: Mapping[str, Any]  #: searched options of the task, by path
    metrics: Mapping[str, float]  #: by the names that the trials' metrics have

    def score(self, metric: str) -> float | None:
        """The value of a metric of trials, such as `validation/score`; None where it has none."""
        return self.metrics.get(metric)


def baselines(study: StudyRecord, trials: Iterable[TrialRecord]) -> tuple[Baseline, ...]:
    """Majority and chance, once for each task that was searched; none where no trial says them."""
    axes = [axis for axis in study.axes if axis.partition(".")[0] == _TASK]
    found: dict[str, Baseline] = {}
    for name, prefix in (("majority", MAJORITY), ("chance", CHANCE)):
        for trial in trials:
            values = _below(prefix, trial.metrics) if trial.state is TrialState.COMPLETE else {}
            task = {axis: trial.parameters[axis] for axis in axes if axis in trial.parameters}
            if values:
                found.setdefault(f"{name} {identity(task)}", Baseline(name=name, parameters=task, metrics=values))
    return tuple(found.values())


def _below(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {name.removeprefix(f"{prefix}/"): value for name, value in metrics.items() if name.startswith(f"{prefix}/")}
