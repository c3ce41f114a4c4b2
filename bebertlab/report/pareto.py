"""The Pareto front: points that no other point beats in score and in cost at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from bebertlab.interfaces.events import TrialRecord
from bebertlab.report.rows import OPERATIONS, Point, finite, mean_over_seeds, mebibytes, training_seconds
from bebertlab.report.statistics import Interval


@frozen(kw_only=True, eq=False)
class Placed:
    """A point with its cost."""

    point: Point
    score: Interval
    cost: float


def by_size(points: Sequence[Point]) -> tuple[Placed, ...]:
    """Points with their size in mebibytes; those that state none are left out."""
    return _placed(points, lambda trial: mebibytes(trial.metrics))


def by_operations(points: Sequence[Point]) -> tuple[Placed, ...]:
    """Points with the operations of a forward pass, in 10^9; those that state none are left out."""
    return _placed(points, lambda trial: finite(trial, OPERATIONS))


def by_seconds(points: Sequence[Point]) -> tuple[Placed, ...]:
    """Points with the training seconds of all their stages."""
    return _placed(points, training_seconds)


_EQUAL = 1.01  #: costs within this factor count as equal: seconds never repeat


def front(placed: Sequence[Placed], *, maximize: bool) -> tuple[Placed, ...]:
    """The points that none beats or equals at a lower or equal cost, cheapest first."""
    sign = 1 if maximize else -1
    kept: list[Placed] = []
    for candidate in sorted(placed, key=lambda one: (one.cost, -sign * one.score.mean, one.point.number)):
        if kept and sign * candidate.score.mean <= sign * kept[-1].score.mean:
            continue
        if kept and candidate.cost <= _EQUAL * kept[-1].cost:
            kept.pop()
        kept.append(candidate)
    return tuple(kept)


def _placed(points: Sequence[Point], cost: Callable[[TrialRecord], float | None]) -> tuple[Placed, ...]:
    found = [(point, mean_over_seeds(point, cost)) for point in points]
    return tuple(
        Placed(point=point, score=point.score, cost=spent.mean)
        for point, spent in found
        if point.score is not None and spent is not None
    )
