"""What majority and chance score, for the tables of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from bebertlab.artifacts.learned import CHANCE, MAJORITY, baseline_name
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.report.rows import identity

_TASK = "task"  #: what axes begin with that decide which task it is


@frozen(kw_only=True, eq=False)
class Baseline:
    """What can be scored without reading the texts of a task."""

    name: str
    parameters: Mapping[str, Any]  #: searched options of the task, by path
    metrics: Mapping[str, float]  #: all of a trial

    def score(self, metric: str) -> float | None:
        """The value of a metric of trials, such as `validation/score`; None where it has none."""
        return self.metrics.get(baseline_name(self.name, metric))


def baselines(study: StudyRecord, trials: Iterable[TrialRecord]) -> tuple[Baseline, ...]:
    """Majority and chance, once for each task that was searched; none where no trial says them."""
    axes = [axis for axis in study.axes if axis.partition(".")[0] == _TASK]
    found: dict[str, Baseline] = {}
    for name in (MAJORITY, CHANCE):
        for trial in trials:
            known = trial.state is TrialState.COMPLETE and any(
                metric.startswith(f"{name}/") for metric in trial.metrics
            )
            task = {axis: trial.parameters[axis] for axis in axes if axis in trial.parameters}
            if known:
                one = Baseline(name=name, parameters=task, metrics=trial.metrics)
                found.setdefault(f"{name} {identity(task)}", one)
    return tuple(found.values())
