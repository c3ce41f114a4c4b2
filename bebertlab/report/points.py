"""Points: the trials of a study that differ in their seed only, with what they reached and cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from bebertlab.interfaces.events import StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.values import identity
from bebertlab.report.statistics import Interval, interval

SELECT_SCORE = "select/score"
VALIDATION_SCORE = "validation/score"
MATRIX_SIZE, TOTAL_SIZE, STORED_SIZE = (f"size/{what}_mebibytes" for what in ("matrix", "total", "stored"))
OPERATIONS = "cost/gigaflops"


@frozen(kw_only=True, eq=False)
class Point:
    """One choice of the searched options, trained with several seeds."""

    parameters: Mapping[str, Any]
    trials: Mapping[int, TrialRecord]  #: complete ones by seed
    failed: int  #: seeds that failed
    score: Interval | None  #: of the objective; None where no seed is complete
    number: int = 0  #: rank, 1 is the best; what plots label it with


def objective(study: StudyRecord, trial: TrialRecord) -> float | None:
    """The trial's value of the objective; None where it is not complete or the value is not finite."""
    return finite(trial, study.objective)


def finite(trial: TrialRecord, name: str) -> float | None:
    """A metric of a complete trial; None where it is missing or not finite."""
    value = trial.metrics.get(name)
    if trial.state is not TrialState.COMPLETE or value is None or not math.isfinite(value):
        return None
    return float(value)


def with_values(study: StudyRecord, trials: Sequence[TrialRecord]) -> StudyRecord:
    """The study with the values that trials have on the axes for which none are listed (those drawn from a range)."""
    axes = {axis: values or _seen(trials, axis) for axis, values in study.axes.items()}
    return evolve(study, axes=axes)


def points(study: StudyRecord, trials: Sequence[TrialRecord]) -> tuple[Point, ...]:
    """Every point, best first; those without a score last. A repeated seed counts once: the last one told."""
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(identity(dict(trial.parameters)), []).append(trial)
    found = [_point(study, group) for group in groups.values()]
    scored = [point for point in found if point.score is not None]
    scored.sort(key=lambda point: _sort_key(study, point))
    ranked = scored + [point for point in found if point.score is None]
    return tuple(evolve(point, number=place) for place, point in enumerate(ranked, start=1))


def mean_over_seeds(point: Point, value: Callable[[TrialRecord], float | None]) -> Interval | None:
    """The interval of some value of a point's trials; None where no trial has it."""
    values = [found for trial in point.trials.values() if (found := value(trial)) is not None]
    return interval(values) if values else None


def training_seconds(trial: TrialRecord, group: str | None = None) -> float | None:
    """Seconds that making the trial's stages took, stored ones included; of one stage or group where it is named.

    Unlike the trial's wall time this does not depend on what was in the store.
    """
    if group is None and not trial.stages:
        return trial.seconds if trial.state is TrialState.COMPLETE else None
    chosen = [event for event in trial.stages if group is None or in_group(event.stage, group)]
    return math.fsum(event.seconds for event in chosen) if chosen else None


def failures(trials: Sequence[TrialRecord]) -> tuple[tuple[str, str], ...]:
    """Each error once, behind the trials that it ended: the first by its name, the others by their numbers."""
    found: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if trial.state is TrialState.FAILED:
            found.setdefault(trial.error or "no message", []).append(trial)
    return tuple(
        (f"{first.name} (and {', '.join(trial.id for trial in others)})" if others else first.name, error)
        for error, (first, *others) in found.items()
    )


def told(trial: TrialRecord) -> tuple[StageResult, ...]:
    """The finished stages of a complete or failed trial."""
    return trial.stages if trial.state in (TrialState.COMPLETE, TrialState.FAILED) else ()


def in_group(stage: str, group: str) -> bool:
    """A stage is the group itself or one of its members."""
    return stage == group or stage.startswith(f"{group}.")


def mebibytes(metrics: Mapping[str, float]) -> float | None:
    """The model's whole size among its metrics, else any size in mebibytes."""
    names = [TOTAL_SIZE, *sorted(name for name in metrics if name.endswith("mebibytes"))]
    return next((float(metrics[name]) for name in names if name in metrics), None)


def members(metrics: Mapping[str, float]) -> float | None:
    """How many members the result has: those that were kept, where it says so."""
    for name in ("members/kept", "members/count", "members"):
        if name in metrics:
            return float(metrics[name])
    return None


def _seen(trials: Sequence[TrialRecord], axis: str) -> tuple[Any, ...]:
    found = {identity(one.parameters[axis]): one.parameters[axis] for one in trials if axis in one.parameters}
    return tuple(sorted(found.values(), key=lambda value: (str(type(value)), value)))


def _point(study: StudyRecord, group: Sequence[TrialRecord]) -> Point:
    by_seed = {trial.seed: trial for trial in group}
    complete = {seed: trial for seed, trial in sorted(by_seed.items()) if objective(study, trial) is not None}
    values = [value for trial in complete.values() if (value := objective(study, trial)) is not None]
    return Point(
        parameters=group[0].parameters,
        trials=complete,
        failed=sum(trial.state is TrialState.FAILED for trial in by_seed.values()),
        score=interval(values) if values else None,
    )


def _sort_key(study: StudyRecord, point: Point) -> tuple[float, str]:
    mean = point.score.mean if point.score else math.nan
    return (-mean if study.maximize else mean, identity(dict(point.parameters)))


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
