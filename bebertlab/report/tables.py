"""The tables of a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from bebertlab.artifacts.baselines import CHANCE, MAJORITY, baseline_name
from bebertlab.config.humanize import format_duration
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.values import identity
from bebertlab.ranking import RankedPoint
from bebertlab.report.answers import Answer, Comparison
from bebertlab.report.cells import said_at
from bebertlab.report.document import Table
from bebertlab.report.labels import (
    NOTHING,
    amount,
    bounds,
    decimals,
    number,
    plus_minus,
    short_names,
    signed,
    unit,
    value_label,
)
from bebertlab.report.points import (
    MATRIX_SIZE,
    OPERATIONS,
    SELECT_SCORE,
    STORED_SIZE,
    VALIDATION_SCORE,
    Placed,
    Point,
    failures,
    finite,
    mean_over_seeds,
    mebibytes,
    members,
    training_seconds,
)
from bebertlab.report.steps import StageCost, Step
from bebertlab.report.wording import verdict_label

MATRIX, TOTAL, STORED, GIGAFLOPS = "matrix MiB", "total MiB", "stored MiB", "GFLOPs"

MEMBERS = "members"
_TAKEN = (MEMBERS, MATRIX, TOTAL, STORED, GIGAFLOPS)  #: columns of what a model takes
_FURTHER_METRICS = 3  #: columns beside the objective
#: columns of which only differences are told
_COMPARED = {MATRIX: MATRIX_SIZE, STORED: STORED_SIZE, GIGAFLOPS: OPERATIONS}


def score_places(study: StudyRecord, trials: Sequence[TrialRecord]) -> int:
    """Decimals of the objective in this study."""
    return decimals(value for trial in trials if (value := finite(trial, study.objective)) is not None)


def points_table(
    study: StudyRecord, points: Sequence[Point], tied: frozenset[int], places: int = 2, *, best: bool = True
) -> Table:
    """Every point, then what majority and chance score.

    The best row is marked unless `best` is False; points not shown to be worse carry a sign. What models take is
    shown where points differ in it; the size of everything always.
    """
    names = short_names(study.axes)
    further = _further_metrics(study, points)
    same = _the_same(points)
    columns = ("#", *names.values(), study.objective, "seeds", *further, *_TAKEN, "training (s)")
    rows = [_point_row(study, point, tied, further, same, places) for point in points]
    rows += [_baseline_row(study, one, further, places) for one in baselines(study, _trials(points))]
    axes = range(1, 1 + len(names))
    marked = frozenset(place for place, point in enumerate(points) if best and point.number == 1 and point.score)
    numeric = frozenset(range(len(columns))) - frozenset(axes)
    return _without_empty(Table(columns=columns, rows=tuple(rows), numeric=numeric, marked=marked))


def comparisons_table(study: StudyRecord, answer: Answer, places: int = 2) -> Table:
    """The differences of one question."""
    columns = ["compared", "at", "verdict", f"difference ({unit(study.objective)})", "95% interval", "p (Holm)"]
    columns += ["detectable", "seeds", "pairs", "left out", f"{answer.question.cost} (s)", "ratio"]
    rows = tuple(_comparison_row(study, answer, made, places) for made in answer.comparisons)
    return _without_empty(Table(columns=tuple(columns), rows=rows, numeric=frozenset(range(3, len(columns)))))


def front_table(study: StudyRecord, front: Sequence[Placed], cost: str, places: int = 2) -> Table:
    """The points of a Pareto front, cheapest first."""
    names = short_names(study.axes)
    rows = tuple(
        (
            f"#{one.point.number}",
            *_cells(one.point.parameters, tuple(names)),
            plus_minus(one.score, places),
            amount(one.cost),
        )
        for one in front
    )
    rows += tuple(
        (one.name, *_cells(one.parameters, tuple(names)), _value(one, study.objective, places), NOTHING)
        for one in baselines(study, _trials(placed.point for placed in front))
    )
    columns = ("", *names.values(), study.objective, cost)
    return Table(columns=columns, rows=rows, numeric=frozenset({len(columns) - 2, len(columns) - 1}))


def objectives_table(study: StudyRecord, front: Sequence[RankedPoint], numbers: Mapping[str, int]) -> Table:
    """The Pareto front of several objectives, means over seeds; `numbers` gives a point's rank by its identity."""
    names = short_names(study.axes)
    metrics = [objective.metric for objective in study.objectives]
    places = [decimals(point.values[index] for point in front) for index in range(len(metrics))]
    rows = tuple(
        (
            f"#{numbers[identity(point.parameters)]}",
            *_cells(point.parameters, tuple(names)),
            *(number(value, count) for value, count in zip(point.values, places, strict=True)),
        )
        for point in front
    )
    columns = ("", *names.values(), *metrics)
    numeric = frozenset(range(len(columns) - len(metrics), len(columns)))
    return Table(columns=columns, rows=rows, numeric=numeric)


def steps_table(steps: Sequence[Step], references: Sequence[Baseline] = (), places: int = 2) -> Table:
    """The scored stages on the way, then what majority and chance score."""
    columns = ("stage", "kind", "with", "score", "change", "95% interval", TOTAL, GIGAFLOPS, "training (s)")
    rows: tuple[tuple[str, ...], ...] = tuple(
        (
            step.stage,
            step.kind,
            step.variant or NOTHING,
            plus_minus(step.score, places),
            NOTHING if step.change is None else signed(step.change.mean, places),
            NOTHING if step.change is None else bounds(step.change, places),
            amount(step.mebibytes),
            amount(step.gigaflops),
            number(step.seconds, 1),
        )
        for step in steps
    )
    rows += tuple(_reference_row(one, places, len(columns)) for one in references)
    return _without_empty(Table(columns=columns, rows=rows, numeric=frozenset(range(3, len(columns)))))


def costs_table(costs: Sequence[StageCost]) -> Table:
    """What every stage took in the study."""
    rows = tuple(
        (one.group, f"{one.made:,}", f"{one.used:,}", format_duration(one.seconds), format_duration(one.without_store))
        for one in costs
    )
    columns = ("stage", "made", "used", "training", "without the store")
    return Table(columns=columns, rows=rows, numeric=frozenset(range(1, 5)))


def failures_table(trials: Sequence[TrialRecord]) -> Table:
    """Failed trials with their errors, each error once."""
    return Table(columns=("trial", "error"), rows=failures(trials))


def _without_empty(table: Table) -> Table:
    """The table without the columns in which no row says anything."""
    return table.only(
        [place for place in range(len(table.columns)) if any(row[place] != NOTHING for row in table.rows)]
    )


def _the_same(points: Sequence[Point]) -> frozenset[str]:
    """Columns that would say the same of every point: the number of members where it is one, and some costs."""
    trials = [trial for point in points for trial in point.trials.values()]
    same = {column for column, name in _COMPARED.items() if len({finite(trial, name) for trial in trials} - {None}) < 2}
    return frozenset(same | {MEMBERS} if {members(trial.metrics) for trial in trials} == {1.0} else same)


def _point_row(
    study: StudyRecord, point: Point, tied: frozenset[int], further: Sequence[str], same: frozenset[str], places: int
) -> tuple[str, ...]:
    sign = " ≈" if point.number in tied else ""
    seconds = mean_over_seeds(point, training_seconds)
    return (
        str(point.number),
        *_cells(point.parameters, tuple(study.axes)),
        plus_minus(point.score, places) + sign,
        _seeds(study, point),
        *(_mean(point, name, places) for name in further),
        *(NOTHING if column in same else _taken(point, column) for column in _TAKEN),
        NOTHING if seconds is None else number(seconds.mean, 1),
    )


def _baseline_row(study: StudyRecord, one: Baseline, further: Sequence[str], places: int) -> tuple[str, ...]:
    return (
        one.name,
        *_cells(one.parameters, tuple(study.axes)),
        _value(one, study.objective, places),
        NOTHING,
        *(_value(one, name, places) for name in further),
        *[NOTHING] * (len(_TAKEN) + 1),
    )


def _reference_row(one: Baseline, places: int, columns: int) -> tuple[str, ...]:
    task = " ".join(map(value_label, one.parameters.values()))
    row = (one.name, NOTHING, task or NOTHING, _value(one, VALIDATION_SCORE, places))
    return (*row, *[NOTHING] * (columns - len(row)))


def _value(one: Baseline, metric: str, places: int) -> str:
    score = one.score(metric)
    return NOTHING if score is None else number(score, places)


def _cells(parameters: Mapping[str, Any], paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(value_label(parameters[path]) if path in parameters else NOTHING for path in paths)


def _trials(points: Iterable[Point]) -> list[TrialRecord]:
    return [trial for point in points for trial in point.trials.values()]


def _seeds(study: StudyRecord, point: Point) -> str:
    if len(point.trials) == len(study.seeds):
        return str(len(point.trials))
    failed = f", {point.failed} failed" if point.failed else ""
    return f"{len(point.trials)} of {len(study.seeds)}{failed}"


def _further_metrics(study: StudyRecord, points: Sequence[Point]) -> list[str]:
    """Metrics of the validation splits that do not just repeat the objective or each other."""
    trials = [trial for point in points for trial in point.trials.values()]
    seen = {_column(study.objective, trials)}
    found = []
    for name in sorted({name for trial in trials for name in trial.metrics if name.startswith("validation")}):
        column = _column(name, trials)
        if column not in seen and any(value is not None for value in column):
            seen.add(column)
            found.append(name)
    return found[:_FURTHER_METRICS]


def _column(name: str, trials: Sequence[TrialRecord]) -> tuple[float | None, ...]:
    return tuple(finite(trial, name) for trial in trials)


def _mean(point: Point, name: str, places: int) -> str:
    shown = mean_over_seeds(point, lambda trial: finite(trial, name))
    return NOTHING if shown is None else number(shown.mean, places)


def _taken(point: Point, column: str) -> str:
    if column == MEMBERS:
        count = mean_over_seeds(point, lambda trial: members(trial.metrics))
        return NOTHING if count is None else f"{count.mean:.4g}"
    if column == TOTAL:
        shown = mean_over_seeds(point, lambda trial: mebibytes(trial.metrics))
    else:
        shown = mean_over_seeds(point, lambda trial: finite(trial, _COMPARED[column]))
    return NOTHING if shown is None else amount(shown.mean)


def _comparison_row(study: StudyRecord, answer: Answer, made: Comparison, places: int) -> tuple[str, ...]:
    shown = made.estimate.interval
    ours, theirs = value_label(made.value), value_label(made.baseline)
    return (
        f"{theirs} → {ours}" if answer.question.baseline is None else f"{ours} minus {theirs}",
        said_at(study, made.at) or NOTHING,
        verdict_label(made, maximize=study.maximize),
        signed(shown.mean, places),
        bounds(shown, places),
        _probability(made.adjusted),
        number(made.estimate.detectable, places),
        str(shown.count) if made.paired else NOTHING,
        _pairs(study, made),
        str(made.left_out) if made.left_out else NOTHING,
        *_cost_cells(made),
    )


def _pairs(study: StudyRecord, made: Comparison) -> str:
    if not made.paired:
        return "not paired"
    names = short_names(study.axes)
    across = ", ".join(names.get(axis, axis) for axis in {**made.own, **made.across})
    return f"{made.pairs}, other {across}" if across else str(made.pairs)


def _probability(value: float | None) -> str:
    if value is None:
        return NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _cost_cells(made: Comparison) -> tuple[str, str]:
    if made.cost is None:
        return NOTHING, NOTHING
    spent = f"{number(made.cost.ours, 1)} / {number(made.cost.theirs, 1)}"
    if made.cost.ratio is None:
        return spent, NOTHING
    half = "" if made.cost.ratio.low is None else f" ({bounds(made.cost.ratio, sign=False)})"
    return spent, f"{number(made.cost.ratio.mean)}x{half}"


def optimism(point: Point) -> list[float]:
    """Score on the select split minus score on the validation split, seed by seed."""
    found = ((finite(trial, SELECT_SCORE), finite(trial, VALIDATION_SCORE)) for trial in point.trials.values())
    values = [select - validation for select, validation in found if select is not None and validation is not None]
    return [value for value in values if math.isfinite(value)]


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
