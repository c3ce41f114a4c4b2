"""Answers to the questions of a study, as numbers; `wording.py` says them in words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from attrs import evolve, field, frozen

from bebertlab.interfaces.events import Question, StudyRecord, TrialRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.cells import Cell, cells, counted, place
from bebertlab.report.pairs import Pairing, pair_up
from bebertlab.report.points import points
from bebertlab.report.statistics import (
    LEVEL,
    MINIMUM_SEEDS,
    Estimate,
    Interval,
    correlation,
    estimate,
    holm,
    interval,
    welch,
)
from bebertlab.report.steps import CostRatio, cost

MANY_VALUES = 8  #: a numeric axis with more values is answered by a trend, not value by value
ALL_PAIRS = 4  #: up to so many values, the values beside the baseline are compared with each other too


class Conclusion(StrEnum):
    """What may be said of a comparison."""

    SHOWN = "shown"
    NOT_SHOWN = "not shown"
    NOT_AFTER_CORRECTION = "not shown after correction"
    SAME = "the same"  #: every difference is zero
    NO_SPREAD = "no spread"  #: every seed gave the same difference: no interval
    TOO_FEW = "too few seeds"


@frozen(kw_only=True, eq=False)
class Subgroup:
    """A comparison among the trials that have one value on another axis; not corrected, to look at only."""

    axis: str
    value: Any
    difference: Interval
    pairs: int


@frozen(kw_only=True, eq=False)
class Comparison:
    """One value against another."""

    value: Any
    baseline: Any
    estimate: Estimate
    adjusted: float | None = None  #: p-value after Holm's correction over the question
    pairs: int
    left_out: int = 0
    paired: bool = True  #: False: no two points differ in this option only, means of points are compared
    at: Mapping[str, Any] = field(factory=dict)  #: values on other axes, where the question is answered for each apart
    across: Mapping[str, Any] = field(factory=dict)  #: axes on which pairs differ too, with the baseline's one value
    own: Mapping[str, Any] = field(factory=dict)  #: the same, with the one value that the compared value has there
    cost: CostRatio | None = None
    parts: tuple[Subgroup, ...] = ()

    @property
    def verdict(self) -> Conclusion:
        """What may be said: a difference counts as shown only when interval and corrected test agree."""
        shown = self.estimate.interval
        if shown.count < MINIMUM_SEEDS:
            return Conclusion.TOO_FEW
        if self.adjusted is None:
            return Conclusion.SAME if shown.mean == 0 else Conclusion.NO_SPREAD
        if not shown.excludes_zero:
            return Conclusion.NOT_SHOWN
        return Conclusion.SHOWN if self.adjusted < 1 - LEVEL else Conclusion.NOT_AFTER_CORRECTION


@frozen(kw_only=True, eq=False)
class Trend:
    """How the objective goes with a numeric option that has many values."""

    values: tuple[float, ...]
    scores: tuple[float, ...]
    correlation: Interval | None


@frozen(kw_only=True, eq=False)
class Answer:
    """What the trials say about a question."""

    question: Question
    comparisons: tuple[Comparison, ...] = ()
    trend: Trend | None = None
    obstacle: str = ""  #: why there is no answer


@frozen(kw_only=True, eq=False)
class _Wanted:
    """A value, what it is compared with, and under which values of other options."""

    pair: tuple[Any, Any]
    cell: Cell


def answer(study: StudyRecord, question: Question, trials: Sequence[TrialRecord]) -> Answer:
    """Answer one question."""
    values = compared_values(study, question, trials)
    obstacle = _obstacle(question, values)
    if obstacle:
        return Answer(question=question, obstacle=obstacle)
    if question.baseline is None and len(values) > MANY_VALUES and all(map(_numeric, values)):
        if question.by is not None:
            return Answer(question=question, obstacle=f"{question.compare} has many values; `by` suits a few")
        return Answer(question=question, trend=_trend(study, question, counted(question, trials)))
    each = [
        _Wanted(pair=pair, cell=cell) for pair in _wanted(question, values) for cell in cells(study, question, pair)
    ]
    each.sort(key=lambda one: [place(study, axis, value) for axis, value in one.cell.at.items()])
    wanted = [one for one in each if all(one.cell.trials(question.compare, one.pair, trials))]
    if not wanted and question.where:
        return Answer(question=question, obstacle="no trials that meet its condition (`where`)")
    found = [_compare(study, question, trials, one, len(wanted)) for one in wanted]
    made = [comparison for comparison in found if comparison is not None]
    if not made:
        return Answer(question=question, obstacle="no complete trials to compare")
    adjusted = holm([comparison.estimate.p for comparison in made])
    corrected = (evolve(comparison, adjusted=p) for comparison, p in zip(made, adjusted, strict=True))
    return Answer(question=question, comparisons=tuple(corrected))


def compared_values(study: StudyRecord, question: Question, trials: Sequence[TrialRecord]) -> list[Any]:
    """The values of the compared option that trials have: numbers in rising order, others in the study's."""
    seen = {identity(trial.parameters[question.compare]) for trial in trials if question.compare in trial.parameters}
    values = [value for value in study.axes.get(question.compare, ()) if identity(value) in seen]
    return sorted(values) if all(map(_numeric, values)) else values


def _obstacle(question: Question, values: Sequence[Any]) -> str:
    if not values:
        return f"{question.compare} was not searched in this run"
    if len(values) == 1:
        return f"{question.compare} has one value only in this run: {values[0]}"
    if question.baseline is not None and identity(question.baseline) not in map(identity, values):
        return f"no trial has {question.compare} = {question.baseline}"
    return ""


def _wanted(question: Question, values: Sequence[Any]) -> list[tuple[Any, Any]]:
    """(value, what it is compared with) in the order of the report."""
    if question.baseline is None:
        return [(value, before) for before, value in itertools.pairwise(values)]
    others = [value for value in values if identity(value) != identity(question.baseline)]
    against = [(value, question.baseline) for value in others]
    if len(values) > ALL_PAIRS:
        return against
    return against + [(later, earlier) for earlier, later in itertools.combinations(others, 2)]


def _compare(
    study: StudyRecord, question: Question, trials: Sequence[TrialRecord], wanted: _Wanted, comparisons: int
) -> Comparison | None:
    (value, baseline), cell = wanted.pair, wanted.cell
    ours, theirs = cell.trials(question.compare, wanted.pair, trials)
    across = {**cell.own, **cell.across}
    pairing = pair_up(study, [*ours, *theirs], question.compare, value, baseline, across=across)
    if not pairing.pairs:
        return _unpaired(study, wanted, ours, theirs, comparisons)
    return Comparison(
        value=value,
        baseline=baseline,
        estimate=estimate(pairing.differences(), comparisons),
        pairs=len(pairing.pairs),
        left_out=pairing.left_out,
        at=cell.at,
        across={axis: cell.across[axis] for axis in pairing.across if axis in cell.across},
        own={axis: cell.own[axis] for axis in pairing.across if axis in cell.own},
        cost=cost(pairing, question.cost) if question.cost else None,
        parts=_parts(study, question, pairing),
    )


def _parts(study: StudyRecord, question: Question, pairing: Pairing) -> tuple[Subgroup, ...]:
    found = []
    for axis, values in study.axes.items():
        split = [(value, pairing.where(axis, value)) for value in values] if axis != question.compare else []
        split = [(value, part) for value, part in split if part.pairs]
        if 2 <= len(split) <= MANY_VALUES:
            found += [_part(axis, value, part) for value, part in split]
    return tuple(found)


def _part(axis: str, value: object, pairing: Pairing) -> Subgroup:
    difference = interval(pairing.differences())
    return Subgroup(axis=axis, value=value, difference=difference, pairs=len(pairing.pairs))


def _unpaired(
    study: StudyRecord,
    wanted: _Wanted,
    ours: Sequence[TrialRecord],
    theirs: Sequence[TrialRecord],
    comparisons: int,
) -> Comparison | None:
    """Means of points, where options were drawn at random and no two points differ in this one only."""
    scores = [[point.score.mean for point in points(study, side) if point.score] for side in (ours, theirs)]
    if not all(scores):
        return None
    made = welch(scores[0], scores[1], comparisons)
    value, baseline = wanted.pair
    return Comparison(value=value, baseline=baseline, estimate=made, pairs=0, paired=False, at=wanted.cell.at)


def _trend(study: StudyRecord, question: Question, trials: Sequence[TrialRecord]) -> Trend:
    scored = [(point.parameters.get(question.compare), point.score) for point in points(study, trials)]
    known = [(float(value), score.mean) for value, score in scored if score and value is not None]
    values, scores = tuple(value for value, _ in known), tuple(score for _, score in known)
    return Trend(values=values, scores=scores, correlation=correlation(values, scores))


def _numeric(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
