"""Which points of a study are best, by the means of its objectives over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.interfaces.sampler import Constraint, Objective
from bebertlab.interfaces.values import identity


@frozen(kw_only=True)
class RankedPoint:
    """A point with complete trials."""

    parameters: Mapping[str, Any]  #: searched paths to values
    trials: tuple[TrialRecord, ...]  #: the complete ones, one for each seed
    values: tuple[float, ...]  #: means of the objectives over seeds, in the order of the objectives


def rank_points(
    objectives: Sequence[Objective], trials: Sequence[TrialRecord], constraints: Sequence[Constraint] = ()
) -> tuple[RankedPoint, ...]:
    """The points for which every objective is known, best first by the primary one; equal ones in their order.

    Of several trials of a point with one seed the last counts. Points that break a constraint are left out.
    """
    groups: dict[str, dict[int, TrialRecord]] = {}
    for trial in trials:
        if _is_complete(trial, objectives):
            groups.setdefault(identity(trial.parameters), {})[trial.seed] = trial
    points = [_point(objectives, tuple(group.values())) for group in groups.values()]
    points = [point for point in points if not broken(constraints, point.trials)]
    sign = -1 if objectives[0].maximize else 1
    return tuple(sorted(points, key=lambda point: sign * point.values[0]))


def broken(constraints: Sequence[Constraint], trials: Iterable[TrialRecord]) -> tuple[Constraint, ...]:
    """The constraints that the complete trials of a point break by the mean of their metric over seeds.

    A metric that no trial has breaks none: a study checks that its result has the metric.
    """
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    columns = [
        (constraint, [trial.metrics[constraint.metric] for trial in complete if constraint.metric in trial.metrics])
        for constraint in constraints
    ]
    return tuple(limit for limit, values in columns if values and limit.excess(math.fsum(values) / len(values)) > 0)


def pareto_front(objectives: Sequence[Objective], points: Sequence[RankedPoint]) -> tuple[RankedPoint, ...]:
    """The points that no other dominates: none is at least as good in every objective and better in one."""
    signs = [1 if objective.maximize else -1 for objective in objectives]
    scores = [tuple(sign * value for sign, value in zip(signs, point.values, strict=True)) for point in points]
    return tuple(
        point for point, score in zip(points, scores, strict=True) if not any(_dominates(one, score) for one in scores)
    )


def _dominates(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first != second and all(a >= b for a, b in zip(first, second, strict=True))


def _is_complete(trial: TrialRecord, objectives: Sequence[Objective]) -> bool:
    values = [trial.metrics.get(objective.metric, math.nan) for objective in objectives]
    return trial.state is TrialState.COMPLETE and all(map(math.isfinite, values))


def _point(objectives: Sequence[Objective], trials: tuple[TrialRecord, ...]) -> RankedPoint:
    columns = [[trial.metrics[objective.metric] for trial in trials] for objective in objectives]
    means = tuple(math.fsum(column) / len(column) for column in columns)
    return RankedPoint(parameters=trials[0].parameters, trials=trials, values=means)
