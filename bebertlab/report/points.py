"""Points: the trials of a study that differ in their seed only, with their scores and costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from attrs import evolve, frozen

from bebertlab.interfaces.events import StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.metric_names import (
    GIGAFLOPS,
    MEMBERS_COUNT,
    MEMBERS_KEPT,
    SENTENCE_MILLISECONDS,
    SIZE_PACKED,
    SIZE_TOTAL,
)
from bebertlab.interfaces.sampler import Constraint
from bebertlab.interfaces.values import identity
from bebertlab.ranking import broken
from bebertlab.report.statistics import LEVEL, MINIMUM_SEEDS, ROUNDING, Interval, holm, interval


@frozen(kw_only=True, eq=False)
class Point:
    """One choice of the searched options, trained with several seeds."""

    parameters: Mapping[str, Any]
    trials: Mapping[int, TrialRecord]  #: complete ones by seed
    failed: int  #: seeds that failed
    score: Interval | None  #: of the objective; None where no seed is complete
    broken: tuple[Constraint, ...] = ()  #: constraints that the means over seeds break: it is never best
    number: int = 0  #: rank, 1 is the best; plots label it with this number


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
    axes = {axis: values or _drawn_values(trials, axis) for axis, values in study.axes.items()}
    return evolve(study, axes=axes)


def points(study: StudyRecord, trials: Sequence[TrialRecord]) -> tuple[Point, ...]:
    """Every point, best first; then those that break a constraint, those without a score last.

    Of trials with equal point and seed the last one counts.
    """
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(identity(dict(trial.parameters)), []).append(trial)
    unranked = [_point(study, group) for group in groups.values()]
    scored = sorted((point for point in unranked if point.score), key=lambda point: _sort_key(study, point))
    ranked = scored + [point for point in unranked if point.score is None]
    return tuple(evolve(point, number=number) for number, point in enumerate(ranked, start=1))


def mean_over_seeds(point: Point, value: Callable[[TrialRecord], float | None]) -> Interval | None:
    """The interval of some value of a point's trials; None where no trial has it."""
    values = [known for trial in point.trials.values() if (known := value(trial)) is not None]
    return interval(values) if values else None


def training_seconds(trial: TrialRecord, group: str | None = None) -> float | None:
    """Seconds that it took to build the trial's stages, stored ones included; of one stage or group if it is named.

    Unlike the trial's wall time this does not depend on what was in the store.
    """
    if group is None and not trial.stages:
        return trial.seconds if trial.state is TrialState.COMPLETE else None
    chosen = [stage for stage in trial.stages if group is None or in_group(stage.stage, group)]
    return math.fsum(stage.seconds for stage in chosen) if chosen else None


def failures(trials: Sequence[TrialRecord]) -> tuple[tuple[str, str], ...]:
    """Each error once, after the trials that it ended: the first by its name, the others by their numbers."""
    by_error: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if trial.state is TrialState.FAILED:
            by_error.setdefault(trial.error or "no message", []).append(trial)
    return tuple(
        (f"{first.name} (and {', '.join(trial.id for trial in others)})" if others else first.name, error)
        for error, (first, *others) in by_error.items()
    )


def finished_stages(trial: TrialRecord) -> tuple[StageResult, ...]:
    """The finished stages of a complete or failed trial."""
    return trial.stages if trial.state in (TrialState.COMPLETE, TrialState.FAILED) else ()


def in_group(stage: str, group: str) -> bool:
    """Whether a stage is the group itself or one of its members."""
    return stage == group or stage.startswith(f"{group}.")


def mebibytes(metrics: Mapping[str, float]) -> float | None:
    """The model's total size among its metrics, otherwise any size in mebibytes."""
    names = [SIZE_TOTAL, *sorted(name for name in metrics if name.endswith("mebibytes"))]
    return next((float(metrics[name]) for name in names if name in metrics), None)


def members(metrics: Mapping[str, float]) -> float | None:
    """How many members the result has: those that were kept, where it says so."""
    return next((float(metrics[name]) for name in (MEMBERS_KEPT, MEMBERS_COUNT) if name in metrics), None)


def _drawn_values(trials: Sequence[TrialRecord], axis: str) -> tuple[Any, ...]:
    values = {identity(trial.parameters[axis]): trial.parameters[axis] for trial in trials if axis in trial.parameters}
    return tuple(sorted(values.values(), key=lambda value: (str(type(value)), value)))


def _point(study: StudyRecord, group: Sequence[TrialRecord]) -> Point:
    by_seed = {trial.seed: trial for trial in group}
    complete = {seed: trial for seed, trial in sorted(by_seed.items()) if objective(study, trial) is not None}
    values = [value for trial in complete.values() if (value := objective(study, trial)) is not None]
    return Point(
        parameters=group[0].parameters,
        trials=complete,
        failed=sum(trial.state is TrialState.FAILED for trial in by_seed.values()),
        score=interval(values) if values else None,
        broken=broken(study.constraints, complete.values()),
    )


def _sort_key(study: StudyRecord, point: Point) -> tuple[bool, float, str]:
    mean = point.score.mean if point.score else math.nan
    return (bool(point.broken), -mean if study.maximize else mean, identity(dict(point.parameters)))


@frozen(kw_only=True, eq=False)
class CostedPoint:
    """A point with its cost."""

    point: Point
    score: Interval
    cost: float


def by_size(points: Sequence[Point]) -> tuple[CostedPoint, ...]:
    """Points with their size in mebibytes; those without one are left out, as are those that break a constraint."""
    return _costed(points, lambda trial: mebibytes(trial.metrics))


def by_packed_size(points: Sequence[Point]) -> tuple[CostedPoint, ...]:
    """Points with the mebibytes of the file of their packed model; those without one are left out."""
    return _costed(points, lambda trial: finite(trial, SIZE_PACKED))


def by_latency(points: Sequence[Point]) -> tuple[CostedPoint, ...]:
    """Points with the milliseconds that their packed model takes for a text; those not measured are left out."""
    return _costed(points, lambda trial: finite(trial, SENTENCE_MILLISECONDS))


def by_operations(points: Sequence[Point]) -> tuple[CostedPoint, ...]:
    """Points with the operations of a forward pass, in 10^9; those without are left out."""
    return _costed(points, lambda trial: finite(trial, GIGAFLOPS))


def by_seconds(points: Sequence[Point]) -> tuple[CostedPoint, ...]:
    """Points with the training seconds of all their stages."""
    return _costed(points, training_seconds)


_EQUAL = 1.01  #: costs within this factor count as equal: seconds are never reproduced exactly


def pareto_front(costed: Sequence[CostedPoint], *, maximize: bool) -> tuple[CostedPoint, ...]:
    """The points that no other beats or equals at a lower or equal cost, cheapest first."""
    sign = 1 if maximize else -1
    kept: list[CostedPoint] = []
    for candidate in sorted(costed, key=lambda item: (item.cost, -sign * item.score.mean, item.point.number)):
        if kept and sign * candidate.score.mean <= sign * kept[-1].score.mean:
            continue
        if kept and candidate.cost <= _EQUAL * kept[-1].cost:
            kept.pop()
        kept.append(candidate)
    return tuple(kept)


def _costed(points: Sequence[Point], cost: Callable[[TrialRecord], float | None]) -> tuple[CostedPoint, ...]:
    costs = [(point, mean_over_seeds(point, cost)) for point in points]
    return tuple(
        CostedPoint(point=point, score=point.score, cost=mean.mean)
        for point, mean in costs
        if point.score is not None and mean is not None and not point.broken
    )


def not_shown_worse(study: StudyRecord, points: Sequence[Point]) -> frozenset[int]:
    """Numbers of the points that are not shown to be worse than the best; empty with too few seeds or no spread.

    t = mean difference over the shared seeds / (s * sqrt(2 / seeds)), s the residual spread of the model
    score = point + seed over the points that have every seed; corrected for the number of points (Holm).
    The best point was picked by its score, which biases it upwards: too many points, rather than too few,
    are called worse.
    """
    scores = [_scores(study, point) for point in points if point.score is not None and not point.broken]
    if len(scores) < 2 or len(scores[0]) < MINIMUM_SEEDS:
        return frozenset()
    spread, degrees = _residual(scores)
    if not spread:
        return frozenset()
    adjusted = holm([_p_value(scores[0], other, spread, degrees) for other in scores[1:]])
    return frozenset(number for number, p in enumerate(adjusted, start=2) if p is None or p >= 1 - LEVEL)


def _scores(study: StudyRecord, point: Point) -> dict[int, float]:
    values = {seed: objective(study, trial) for seed, trial in point.trials.items()}
    return {seed: value for seed, value in values.items() if value is not None}


def _residual(scores: Sequence[dict[int, float]]) -> tuple[float, int]:
    """Standard deviation and degrees of freedom of what point and seed do not explain."""
    seeds = sorted(set().union(*scores))
    complete = np.array([[of_point[seed] for seed in seeds] for of_point in scores if len(of_point) == len(seeds)])
    degrees = (len(complete) - 1) * (len(seeds) - 1)
    if degrees < 1:
        return 0.0, 0
    # a balanced table: centring its rows and columns is the least-squares fit, without a design matrix of every point
    residuals = complete - complete.mean(axis=1, keepdims=True) - complete.mean(axis=0) + complete.mean()
    spread = math.sqrt(np.square(residuals).sum() / degrees)
    return (spread if spread > ROUNDING * np.abs(complete).max() else 0.0), degrees


def _p_value(best: dict[int, float], other: dict[int, float], spread: float, degrees: int) -> float | None:
    from scipy.special import stdtr

    shared = set(best) & set(other)
    if not shared:
        return None
    t = fmean(best[seed] - other[seed] for seed in shared) / (spread * math.sqrt(2 / len(shared)))
    return float(2 * stdtr(degrees, -abs(t)))
