"""The tables of a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from bebertlab.config.humanize import format_duration
from bebertlab.interfaces.events import StageResult, StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.metric_names import (
    CHANCE,
    GIGAFLOPS,
    MAJORITY,
    SELECT_SCORE,
    SENTENCE_MILLISECONDS,
    SIZE_MATRIX,
    SIZE_PACKED,
    SIZE_STORED,
    VALIDATION_SCORE,
    baseline_metric,
    metric_info,
)
from bebertlab.interfaces.task import VALIDATION
from bebertlab.interfaces.values import identity
from bebertlab.ranking import RankedPoint
from bebertlab.report.answers import Answer, Comparison
from bebertlab.report.document import Table
from bebertlab.report.labels import (
    MISSING,
    amount,
    bounds,
    decimals_for,
    difference_unit,
    number,
    plus_minus,
    short_names,
    signed,
    value_label,
)
from bebertlab.report.pairs import cell_label
from bebertlab.report.points import (
    CostedPoint,
    Point,
    failures,
    finite,
    mean_over_seeds,
    mebibytes,
    members,
    training_seconds,
)
from bebertlab.report.stages import StageCost, StageScore
from bebertlab.report.statistics import interval
from bebertlab.report.wording import conclusion_label

MEMBERS, MATRIX, TOTAL, STORED, OPERATIONS = "members", "matrix MiB", "total MiB", "stored MiB", "GFLOPs"
PACKED, LATENCY = "packed MiB", "ms a sentence"
SIMULATED = "simulated"  #: in the place of the bytes of a file that was not written
_COST_COLUMNS = (MEMBERS, MATRIX, TOTAL, PACKED, STORED, OPERATIONS, LATENCY)
_MOST_METRICS = 4  #: columns besides the objective
#: columns that are shown where points differ in them
_SHOWN_IF_DIFFERENT = {MATRIX: SIZE_MATRIX, STORED: SIZE_STORED, OPERATIONS: GIGAFLOPS}
#: columns of what was measured, shown wherever it was
_MEASURED = {PACKED: SIZE_PACKED, LATENCY: SENTENCE_MILLISECONDS}
KEY_DIGITS = 12  #: of a stage's key; enough for commands that take the beginning of a key


def score_decimals(study: StudyRecord, trials: Sequence[TrialRecord]) -> int:
    """Decimals of the objective in this study."""
    return decimals_for(value for trial in trials if (value := finite(trial, study.objective)) is not None)


def points_table(
    study: StudyRecord, points: Sequence[Point], tied: frozenset[int], decimals: int = 2, *, best: bool = True
) -> Table:
    """Every point, then the scores of majority and chance.

    The best row is marked unless `best` is False; points not shown to be worse (`tied`) are marked with ≈. Sizes and
    operations are shown where points differ in them; the total size always, and what was measured of packed models
    where that of any point was.
    """
    names = short_names(study.axes)
    further = further_metrics(study, points)
    same = _same_columns(points)
    columns = ("#", *names.values(), study.objective, "seeds", *further, *_COST_COLUMNS, "training (s)")
    rows = [_point_row(study, point, tied, further, same, decimals) for point in points]
    rows += [_baseline_row(study, baseline, further, decimals) for baseline in baselines(study, _trials(points))]
    axes = range(1, 1 + len(names))
    marked = frozenset(row for row, point in enumerate(points) if best and point.number == 1 and point.score)
    numeric = frozenset(range(len(columns))) - frozenset(axes)
    return _without_empty(Table(columns=columns, rows=tuple(rows), numeric=numeric, marked=marked))


def comparisons_table(study: StudyRecord, answer: Answer, decimals: int = 2) -> Table:
    """The differences of one question."""
    unit = difference_unit(study)
    columns = ["compared", "at", "conclusion", f"difference ({unit})" if unit else "difference"]
    columns += ["95% interval", "p (Holm)", "minimum detectable", "seeds", "pairs", "left out"]
    columns += comparison_costs(answer)
    rows = tuple(_comparison_row(study, answer, comparison, decimals) for comparison in answer.comparisons)
    return _without_empty(Table(columns=tuple(columns), rows=rows, numeric=frozenset(range(3, len(columns)))))


def comparison_costs(answer: Answer) -> tuple[str, str]:
    """The columns of training time in the table of one question."""
    return f"{answer.question.cost} (s)", "ratio"


def front_table(study: StudyRecord, front: Sequence[CostedPoint], cost: str, decimals: int = 2) -> Table:
    """The points of a Pareto front, cheapest first."""
    names = short_names(study.axes)
    rows = tuple(
        (
            f"#{costed.point.number}",
            *_cells(costed.point.parameters, tuple(names)),
            plus_minus(costed.score, decimals),
            amount(costed.cost),
        )
        for costed in front
    )
    rows += tuple(
        (
            baseline.name,
            *_cells(baseline.parameters, tuple(names)),
            _value(baseline, study.objective, decimals),
            MISSING,
        )
        for baseline in baselines(study, _trials(costed.point for costed in front))
    )
    columns = ("", *names.values(), study.objective, cost)
    return Table(columns=columns, rows=rows, numeric=frozenset({len(columns) - 2, len(columns) - 1}))


def objectives_table(study: StudyRecord, front: Sequence[RankedPoint], numbers: Mapping[str, int]) -> Table:
    """The Pareto front of several objectives, means and half the intervals over seeds.

    `numbers` gives a point's rank by its identity.
    """
    names = short_names(study.axes)
    metrics = [objective.metric for objective in study.objectives]
    decimals = [decimals_for(point.values[index] for point in front) for index in range(len(metrics))]
    rows = tuple(
        (
            f"#{numbers[identity(point.parameters)]}",
            *_cells(point.parameters, tuple(names)),
            *(
                plus_minus(interval([trial.metrics[name] for trial in point.trials]), count)
                for name, count in zip(metrics, decimals, strict=True)
            ),
        )
        for point in front
    )
    columns = ("", *names.values(), *metrics)
    numeric = frozenset(range(len(columns) - len(metrics), len(columns)))
    return Table(columns=columns, rows=rows, numeric=numeric)


def stage_scores_table(scores: Sequence[StageScore], references: Sequence[Baseline] = (), decimals: int = 2) -> Table:
    """The scored stages before the result, then the scores of majority and chance."""
    columns = ("stage", "kind", "with", "score", "change", "95% interval", TOTAL, OPERATIONS, "time (s)")
    rows: tuple[tuple[str, ...], ...] = tuple(
        (
            score.stage,
            score.kind,
            score.variant or MISSING,
            plus_minus(score.score, decimals),
            MISSING if score.change is None else signed(score.change.mean, decimals),
            MISSING if score.change is None else bounds(score.change, decimals),
            amount(score.mebibytes),
            amount(score.gigaflops),
            number(score.seconds, 1),
        )
        for score in scores
    )
    rows += tuple(_reference_row(baseline, decimals, len(columns)) for baseline in references)
    return _without_empty(Table(columns=columns, rows=rows, numeric=frozenset(range(3, len(columns)))))


def costs_table(costs: Sequence[StageCost]) -> Table:
    """The training time of every stage of the study."""
    rows = tuple(
        (
            cost.group,
            f"{cost.built:,}",
            f"{cost.requested:,}",
            format_duration(cost.seconds),
            format_duration(cost.seconds_without_store),
        )
        for cost in costs
    )
    columns = ("stage", "built", "requested", "time", "without the store")
    return Table(columns=columns, rows=rows, numeric=frozenset(range(1, 5)))


def stages_table(stages: Sequence[StageResult]) -> Table:
    """The stages of one trial with the keys of their artifacts."""
    rows = tuple((stage.stage, stage.stage_kind, stage.key[:KEY_DIGITS]) for stage in stages)
    return Table(columns=("stage", "kind", "key"), rows=rows)


def failures_table(trials: Sequence[TrialRecord]) -> Table:
    """Failed trials with their errors, each error once."""
    return Table(columns=("trial", "error"), rows=failures(trials))


def further_metrics(study: StudyRecord, points: Sequence[Point]) -> list[str]:
    """Metrics of validation splits that repeat neither the objective nor each other; those to be maximized first."""
    trials = _trials(points)
    seen = {_values(study.objective, trials)}
    names = {name for trial in trials for name in trial.metrics if name.startswith(VALIDATION)}
    further = []
    for name in sorted(names, key=lambda name: (metric_info(name, study.metrics).maximize is not True, name)):
        values = _values(name, trials)
        if values not in seen and any(value is not None for value in values):
            seen.add(values)
            further.append(name)
    return further[:_MOST_METRICS]


def selection_bias(point: Point) -> list[float]:
    """Score on the select split minus score on the validation split, seed by seed."""
    scores = ((finite(trial, SELECT_SCORE), finite(trial, VALIDATION_SCORE)) for trial in point.trials.values())
    values = [select - validation for select, validation in scores if select is not None and validation is not None]
    return [value for value in values if math.isfinite(value)]


def _without_empty(table: Table) -> Table:
    """The table without the columns that are empty in every row."""
    return table.only(
        [column for column in range(len(table.columns)) if any(row[column] != MISSING for row in table.rows)]
    )


def _same_columns(points: Sequence[Point]) -> frozenset[str]:
    """Columns that would be the same for every point: the number of members where it is 1, and some costs."""
    trials = _trials(points)
    same = {
        column
        for column, name in _SHOWN_IF_DIFFERENT.items()
        if len({finite(trial, name) for trial in trials} - {None}) < 2
    }
    same |= {column for column, name in _MEASURED.items() if all(finite(trial, name) is None for trial in trials)}
    return frozenset(same | {MEMBERS} if {members(trial.metrics) for trial in trials} == {1.0} else same)


def _point_row(
    study: StudyRecord, point: Point, tied: frozenset[int], further: Sequence[str], same: frozenset[str], decimals: int
) -> tuple[str, ...]:
    sign = " ≈" if point.number in tied else ""
    seconds = mean_over_seeds(point, training_seconds)
    return (
        str(point.number),
        *_cells(point.parameters, tuple(study.axes)),
        plus_minus(point.score, decimals) + sign,
        _seeds(study, point),
        *(_mean(study, point, name, decimals) for name in further),
        *(MISSING if column in same else _cost(point, column) for column in _COST_COLUMNS),
        MISSING if seconds is None else number(seconds.mean, 1),
    )


def _baseline_row(study: StudyRecord, baseline: Baseline, further: Sequence[str], decimals: int) -> tuple[str, ...]:
    return (
        baseline.name,
        *_cells(baseline.parameters, tuple(study.axes)),
        _value(baseline, study.objective, decimals),
        MISSING,
        *(_value(baseline, name, decimals) for name in further),
        *[MISSING] * (len(_COST_COLUMNS) + 1),
    )


def _reference_row(baseline: Baseline, decimals: int, columns: int) -> tuple[str, ...]:
    task = " ".join(map(value_label, baseline.parameters.values()))
    row = (baseline.name, MISSING, task or MISSING, _value(baseline, VALIDATION_SCORE, decimals))
    return (*row, *[MISSING] * (columns - len(row)))


def _value(baseline: Baseline, metric: str, decimals: int) -> str:
    score = baseline.score(metric)
    return MISSING if score is None else number(score, decimals)


def _cells(parameters: Mapping[str, Any], paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(value_label(parameters[path]) if path in parameters else MISSING for path in paths)


def _trials(points: Iterable[Point]) -> list[TrialRecord]:
    return [trial for point in points for trial in point.trials.values()]


def _seeds(study: StudyRecord, point: Point) -> str:
    if len(point.trials) == len(study.seeds):
        return str(len(point.trials))
    failed = f", {point.failed} failed" if point.failed else ""
    return f"{len(point.trials)} of {len(study.seeds)}{failed}"


def _values(name: str, trials: Sequence[TrialRecord]) -> tuple[float | None, ...]:
    return tuple(finite(trial, name) for trial in trials)


def _mean(study: StudyRecord, point: Point, name: str, decimals: int) -> str:
    mean = mean_over_seeds(point, lambda trial: finite(trial, name))
    info = metric_info(name, study.metrics)
    return MISSING if mean is None else number(mean.mean, decimals if info.unit else info.decimals)


def _cost(point: Point, column: str) -> str:
    if column == MEMBERS:
        count = mean_over_seeds(point, lambda trial: members(trial.metrics))
        return MISSING if count is None else f"{count.mean:.4g}"
    if column == TOTAL:
        mean = mean_over_seeds(point, lambda trial: mebibytes(trial.metrics))
    else:
        name = {**_SHOWN_IF_DIFFERENT, **_MEASURED}[column]
        mean = mean_over_seeds(point, lambda trial: finite(trial, name))
    if mean is None:
        return SIMULATED if column == PACKED and _cost(point, TOTAL) != MISSING else MISSING
    return amount(mean.mean)


def _comparison_row(study: StudyRecord, answer: Answer, comparison: Comparison, decimals: int) -> tuple[str, ...]:
    shown = comparison.estimate.interval
    compared, baseline = value_label(comparison.value), value_label(comparison.baseline)
    return (
        f"{baseline} → {compared}" if answer.question.baseline is None else f"{compared} minus {baseline}",
        cell_label(study, comparison.at) or MISSING,
        conclusion_label(comparison, maximize=study.maximize),
        signed(shown.mean, decimals),
        bounds(shown, decimals),
        _p_value(comparison.adjusted),
        number(comparison.estimate.detectable, decimals),
        str(shown.count) if comparison.paired else MISSING,
        _pairs(study, comparison),
        str(comparison.left_out) if comparison.left_out else MISSING,
        *_cost_cells(comparison),
    )


def _pairs(study: StudyRecord, comparison: Comparison) -> str:
    if not comparison.paired:
        return "not paired"
    names = short_names(study.axes)
    differing = ", ".join(names.get(axis, axis) for axis in {**comparison.value_fixed, **comparison.baseline_fixed})
    return f"{comparison.pairs}, other {differing}" if differing else str(comparison.pairs)


def _p_value(value: float | None) -> str:
    if value is None:
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _cost_cells(comparison: Comparison) -> tuple[str, str]:
    cost = comparison.cost
    if cost is None:
        return MISSING, MISSING
    seconds = f"{number(cost.compared_seconds, 1)} / {number(cost.baseline_seconds, 1)}"
    if cost.ratio is None:
        return seconds, MISSING
    within = "" if cost.ratio.low is None else f" ({bounds(cost.ratio, sign=False)})"
    return seconds, f"{number(cost.ratio.mean)}x{within}"


_TASK = "task"  #: first part of the axes that decide which task it is


@frozen(kw_only=True, eq=False)
class Baseline:
    """A prediction that does not read the texts of a task."""

    name: str
    parameters: Mapping[str, Any]  #: searched options of the task, by path
    metrics: Mapping[str, float]  #: all of a trial

    def score(self, metric: str) -> float | None:
        """The value of a metric of trials, such as `validation/score`; None where it has none."""
        return self.metrics.get(baseline_metric(self.name, metric))


def baselines(study: StudyRecord, trials: Iterable[TrialRecord]) -> tuple[Baseline, ...]:
    """Majority and chance, once for each task that was searched; none where no trial has them."""
    axes = [axis for axis in study.axes if axis.partition(".")[0] == _TASK]
    known: dict[str, Baseline] = {}
    for name in (MAJORITY, CHANCE):
        for trial in trials:
            if trial.state is TrialState.COMPLETE and any(metric.startswith(f"{name}/") for metric in trial.metrics):
                task = {axis: trial.parameters[axis] for axis in axes if axis in trial.parameters}
                known.setdefault(
                    f"{name} {identity(task)}", Baseline(name=name, parameters=task, metrics=trial.metrics)
                )
    return tuple(known.values())
