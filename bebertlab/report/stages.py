"""Stages of a study: the scores of those before the result, and the time of all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from attrs import frozen

from bebertlab.interfaces.events import StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.metric_names import GIGAFLOPS, VALIDATION_SCORE
from bebertlab.interfaces.values import identity
from bebertlab.report.labels import short_names, value_label
from bebertlab.report.pairs import Pairing
from bebertlab.report.points import finished_stages, mebibytes, training_seconds
from bebertlab.report.statistics import Interval, interval, ratio

MANY_VARIANTS = 6  #: a stage with more variants is averaged over them


@frozen(kw_only=True, eq=False)
class StageScore:
    """The score of a stage under some values of the searched options."""

    stage: str
    kind: str
    variant: str  #: searched values that the stage depends on; empty if there are none or they are averaged over
    score: Interval
    change: Interval | None  #: from the scored stage before it in the same trial
    seconds: float
    mebibytes: float | None
    gigaflops: float | None


@frozen(eq=False)
class _Scored:
    """A scored stage in a trial, with the scored stage before it."""

    trial: TrialRecord
    stage: StageResult
    before: StageResult | None


def stage_scores(study: StudyRecord, trials: Sequence[TrialRecord]) -> tuple[StageScore, ...]:
    """The scored stages before the result, in the order of the plan; members of a group are taken together."""
    metric = _metric(study, trials)
    by_name: dict[str, list[_Scored]] = {}
    for trial in trials:
        for scored in _scored(trial, metric):
            by_name.setdefault(_name(scored.stage), []).append(scored)
    return tuple(
        _stage_score(name, variant, group, metric)
        for name, scored in by_name.items()
        for variant, group in _variants(study, name, scored)
    )


def _metric(study: StudyRecord, trials: Sequence[TrialRecord]) -> str:
    names = {name for trial in trials for stage in _before_result(trial) for name in stage.metrics}
    return study.objective if study.objective in names else VALIDATION_SCORE


def _scored(trial: TrialRecord, metric: str) -> list[_Scored]:
    scored: list[_Scored] = []
    before: StageResult | None = None
    for stage in _before_result(trial):
        if not math.isfinite(stage.metrics.get(metric, math.nan)):
            continue
        scored.append(_Scored(trial, stage, before))
        if "." not in stage.stage:
            before = stage
    return scored


def _before_result(trial: TrialRecord) -> tuple[StageResult, ...]:
    """The stages of a complete trial except the last one, which gave it its metrics."""
    return finished_stages(trial)[:-1] if trial.state is TrialState.COMPLETE else ()


def _name(stage: StageResult) -> str:
    group, dot, _ = stage.stage.partition(".")
    return f"{group}, each alone" if dot else group


def _variants(study: StudyRecord, name: str, scored: Sequence[_Scored]) -> list[tuple[str, list[_Scored]]]:
    axes = [] if name != scored[0].stage.stage else _deciding_axes(study, scored)
    names = short_names(study.axes)
    groups: dict[str, list[_Scored]] = {}
    for item in scored:
        values = item.trial.parameters
        label = " ".join(f"{names[axis]}={value_label(values[axis])}" for axis in axes if axis in values)
        groups.setdefault(label, []).append(item)
    if len(groups) > MANY_VARIANTS:
        return [("", list(scored))]
    return list(groups.items())


def _deciding_axes(study: StudyRecord, scored: Sequence[_Scored]) -> list[str]:
    """The axes on which the key of the stage depends."""
    axes = list(study.axes)
    for axis in tuple(axes):
        fewer = [other for other in axes if other != axis]
        if _determine(fewer, scored):
            axes = fewer
    return axes


def _determine(axes: Sequence[str], scored: Sequence[_Scored]) -> bool:
    """Whether the seed and the values on some axes determine the key."""
    keys: dict[str, str] = {}
    for item in scored:
        values = identity([item.trial.seed, *(item.trial.parameters.get(axis) for axis in axes)])
        if keys.setdefault(values, item.stage.key) != item.stage.key:
            return False
    return True


def _stage_score(name: str, variant: str, scored: Sequence[_Scored], metric: str) -> StageScore:
    # the same artifact serves many trials and counts once
    distinct = {
        (item.trial.seed, item.stage.key, item.before.key if item.before else ""): item for item in scored
    }.values()
    sizes = [size for item in distinct if (size := mebibytes(item.stage.metrics)) is not None]
    operations = [item.stage.metrics[GIGAFLOPS] for item in distinct if GIGAFLOPS in item.stage.metrics]
    score = _over_seeds(distinct, lambda item: item.stage.metrics[metric])
    change = _over_seeds(
        [item for item in distinct if item.before is not None],
        lambda item: item.stage.metrics[metric] - (item.before.metrics[metric] if item.before else 0.0),
    )
    seconds: Mapping[str, float] = {item.stage.key: item.stage.seconds for item in distinct}
    return StageScore(
        stage=name,
        kind=scored[0].stage.stage_kind,
        variant=variant,
        score=score or interval([math.nan]),
        change=change,
        seconds=fmean(seconds.values()),
        mebibytes=_mean(sizes),
        gigaflops=_mean(operations),
    )


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _over_seeds(scored: Iterable[_Scored], value: Callable[[_Scored], float]) -> Interval | None:
    by_seed: dict[int, list[float]] = {}
    for item in scored:
        by_seed.setdefault(item.trial.seed, []).append(value(item))
    means = [fmean(values) for _, values in sorted(by_seed.items())]
    return interval(means) if means else None


@frozen(kw_only=True, eq=False)
class CostRatio:
    """Training seconds of a stage or group, compared with those of the baseline over the pairs of a comparison."""

    group: str
    compared_seconds: float  #: mean over pairs
    baseline_seconds: float
    ratio: Interval | None  #: geometric mean over seeds


@frozen(kw_only=True)
class StageCost:
    """The training time of a stage or group of stages in the whole study."""

    group: str
    built: int  #: different artifacts
    requested: int  #: times a trial needed one
    seconds: float  #: of building each once
    seconds_without_store: float  #: if every trial had built its own


def cost_ratio(pairing: Pairing, group: str) -> CostRatio | None:
    """The training time of a group; None where no trial has such stages."""
    compared = pairing.by_seed(lambda pair: training_seconds(pair.compared, group) or 0.0)
    baseline = pairing.by_seed(lambda pair: training_seconds(pair.reference, group) or 0.0)
    if not any(compared) and not any(baseline):
        return None
    return CostRatio(
        group=group,
        compared_seconds=fmean(compared),
        baseline_seconds=fmean(baseline),
        ratio=ratio(compared, baseline),
    )


def stage_costs(trials: Sequence[TrialRecord]) -> tuple[StageCost, ...]:
    """The training time of each stage or group, in the order of the plan."""
    by_group: dict[str, list[StageResult]] = {}
    for trial in trials:
        for stage in finished_stages(trial):
            by_group.setdefault(stage.stage.split(".")[0], []).append(stage)
    return tuple(_stage_cost(group, stages) for group, stages in by_group.items())


def _stage_cost(group: str, stages: Sequence[StageResult]) -> StageCost:
    distinct: Mapping[str, float] = {stage.key: stage.seconds for stage in stages}
    return StageCost(
        group=group,
        built=len(distinct),
        requested=len(stages),
        seconds=math.fsum(distinct.values()),
        seconds_without_store=math.fsum(stage.seconds for stage in stages),
    )
