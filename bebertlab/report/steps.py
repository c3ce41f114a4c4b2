"""What every step of a recipe costs: scores of the stages on the way to the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from attrs import frozen

from bebertlab.interfaces.events import StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.values import identity
from bebertlab.report.labels import short_names, value_label
from bebertlab.report.pairs import Pairing
from bebertlab.report.points import OPERATIONS, VALIDATION_SCORE, mebibytes, told, training_seconds
from bebertlab.report.statistics import Interval, interval, ratio

MANY_VARIANTS = 6  #: a stage with more variants is averaged over them


@frozen(kw_only=True, eq=False)
class Step:
    """A stage that says a score, as it is with some values of the searched options."""

    stage: str
    kind: str
    variant: str  #: searched values that decide this stage, empty where none does or they are averaged over
    score: Interval
    change: Interval | None  #: from the scored stage before it in the same trial
    seconds: float
    mebibytes: float | None
    gigaflops: float | None


@frozen(eq=False)
class _Seen:
    """A scored stage in a trial, with the scored stage before it."""

    trial: TrialRecord
    event: StageResult
    before: StageResult | None


def steps(study: StudyRecord, trials: Sequence[TrialRecord]) -> tuple[Step, ...]:
    """The scored stages before the result, in the order of the plan; members of a group are taken together."""
    metric = _metric(study, trials)
    stages: dict[str, list[_Seen]] = {}
    for trial in trials:
        for one in _scored(trial, metric):
            stages.setdefault(_name(one.event), []).append(one)
    return tuple(
        _step(name, variant, seen, metric)
        for name, every in stages.items()
        for variant, seen in _variants(study, name, every)
    )


def _metric(study: StudyRecord, trials: Sequence[TrialRecord]) -> str:
    named = {name for trial in trials for event in _before_result(trial) for name in event.metrics}
    return study.objective if study.objective in named else VALIDATION_SCORE


def _scored(trial: TrialRecord, metric: str) -> list[_Seen]:
    found: list[_Seen] = []
    before: StageResult | None = None
    for event in _before_result(trial):
        if not math.isfinite(event.metrics.get(metric, math.nan)):
            continue
        found.append(_Seen(trial, event, before))
        if "." not in event.stage:
            before = event
    return found


def _before_result(trial: TrialRecord) -> tuple[StageResult, ...]:
    """The stages of a complete trial but the last one, which gave it its metrics."""
    return told(trial)[:-1] if trial.state is TrialState.COMPLETE else ()


def _name(event: StageResult) -> str:
    group, dot, _ = event.stage.partition(".")
    return f"{group}, each alone" if dot else group


def _variants(study: StudyRecord, name: str, seen: Sequence[_Seen]) -> list[tuple[str, list[_Seen]]]:
    axes = [] if name != seen[0].event.stage else _deciding_axes(study, seen)
    names = short_names(study.axes)
    groups: dict[str, list[_Seen]] = {}
    for one in seen:
        values = one.trial.parameters
        label = " ".join(f"{names[axis]}={value_label(values[axis])}" for axis in axes if axis in values)
        groups.setdefault(label, []).append(one)
    if len(groups) > MANY_VARIANTS:
        return [("", list(seen))]
    return list(groups.items())


def _deciding_axes(study: StudyRecord, seen: Sequence[_Seen]) -> list[str]:
    """Axes without which the stage's key would not be decided."""
    axes = list(study.axes)
    for axis in tuple(axes):
        fewer = [other for other in axes if other != axis]
        if _decided(fewer, seen):
            axes = fewer
    return axes


def _decided(axes: Sequence[str], seen: Sequence[_Seen]) -> bool:
    keys: dict[str, str] = {}
    for one in seen:
        values: list[Any] = [one.trial.seed, *(one.trial.parameters.get(axis) for axis in axes)]
        if keys.setdefault(identity(values), one.event.key) != one.event.key:
            return False
    return True


def _step(name: str, variant: str, seen: Sequence[_Seen], metric: str) -> Step:
    # the same artifact serves many trials and counts once
    once = {(one.trial.seed, one.event.key, one.before.key if one.before else ""): one for one in seen}
    sizes = [size for one in once.values() if (size := mebibytes(one.event.metrics)) is not None]
    operations = [one.event.metrics[OPERATIONS] for one in once.values() if OPERATIONS in one.event.metrics]
    score = _over_seeds(once.values(), lambda one: one.event.metrics[metric])
    change = _over_seeds(
        [one for one in once.values() if one.before is not None],
        lambda one: one.event.metrics[metric] - (one.before.metrics[metric] if one.before else 0.0),
    )
    seconds: Mapping[str, float] = {one.event.key: one.event.seconds for one in once.values()}
    return Step(
        stage=name,
        kind=seen[0].event.stage_kind,
        variant=variant,
        score=score or interval([math.nan]),
        change=change,
        seconds=fmean(seconds.values()),
        mebibytes=_mean(sizes),
        gigaflops=_mean(operations),
    )


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _over_seeds(seen: Iterable[_Seen], value: Callable[[_Seen], float]) -> Interval | None:
    by_seed: dict[int, list[float]] = {}
    for one in seen:
        by_seed.setdefault(one.trial.seed, []).append(value(one))
    means = [fmean(values) for _, values in sorted(by_seed.items())]
    return interval(means) if means else None


@frozen(kw_only=True, eq=False)
class CostRatio:
    """Training seconds of a stage or group beside the baseline's, over the pairs of a comparison."""

    group: str
    ours: float  #: mean over pairs
    theirs: float
    ratio: Interval | None  #: geometric mean over seeds


@frozen(kw_only=True)
class StageCost:
    """What a stage or group of stages took in the whole study."""

    group: str
    made: int  #: different artifacts
    used: int  #: times a trial needed one
    seconds: float  #: of making each once
    without_store: float  #: seconds, had every trial made its own


def cost(pairing: Pairing, group: str) -> CostRatio | None:
    """The cost of a group; None where no trial has such stages."""
    ours = pairing.by_seed(lambda pair: training_seconds(pair.ours, group) or 0.0)
    theirs = pairing.by_seed(lambda pair: training_seconds(pair.theirs, group) or 0.0)
    if not any(ours) and not any(theirs):
        return None
    means = (fmean(values) for values in (ours, theirs))
    return CostRatio(group=group, ours=next(means), theirs=next(means), ratio=ratio(ours, theirs))


def stage_costs(trials: Sequence[TrialRecord]) -> tuple[StageCost, ...]:
    """What each stage or group took, in the order of the plan."""
    events: dict[str, list[StageResult]] = {}
    for trial in trials:
        for event in told(trial):
            events.setdefault(event.stage.split(".")[0], []).append(event)
    return tuple(_stage_cost(group, found) for group, found in events.items())


def _stage_cost(group: str, events: Sequence[StageResult]) -> StageCost:
    once: Mapping[str, float] = {event.key: event.seconds for event in events}
    return StageCost(
        group=group,
        made=len(once),
        used=len(events),
        seconds=math.fsum(once.values()),
        without_store=math.fsum(event.seconds for event in events),
    )
