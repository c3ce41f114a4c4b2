"""Answers to the questions of a study, as numbers; `wording.py` puts them into sentences."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from attrs import evolve, field, frozen

from bebertlab.interfaces.events import Question, StudyRecord, TrialRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.pairs import Cell, Pairing, cells, matching_trials, pair_up, value_index
from bebertlab.report.points import points
from bebertlab.report.stages import CostRatio, cost_ratio
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

MANY_VALUES = 8  #: a numeric axis with more values is answered by a trend, not value by value
ALL_PAIRS = 4  #: up to so many values, those that are not the baseline are compared with each other too


class Conclusion(StrEnum):
    """The conclusion that a comparison allows."""

    SHOWN = "shown"
    NOT_SHOWN = "not shown"
    NOT_AFTER_CORRECTION = "not shown after correction"
    SAME = "the same"  #: every difference is zero
    NO_SPREAD = "no spread"  #: every seed gave the same difference: no interval
    TOO_FEW = "too few seeds"


@frozen(kw_only=True, eq=False)
class Subgroup:
    """A comparison among the trials that have one value on another axis; exploratory, without correction."""

    axis: str
    value: Any
    difference: Interval
    pairs: int


@frozen(kw_only=True, eq=False)
class Comparison:
    """One value compared with another."""

    value: Any
    baseline: Any
    estimate: Estimate
    adjusted: float | None = None  #: p-value after Holm's correction over the question
    pairs: int
    left_out: int = 0
    paired: bool = True  #: False: no two points differ in this option only, means of points are compared
    at: Mapping[str, Any] = field(factory=dict)  #: values on other axes, where each is answered separately
    #: axes on which the trials of a pair differ too, as the baseline, or the compared value, has this value only
    baseline_fixed: Mapping[str, Any] = field(factory=dict)
    value_fixed: Mapping[str, Any] = field(factory=dict)
    cost: CostRatio | None = None
    subgroups: tuple[Subgroup, ...] = ()

    @property
    def conclusion(self) -> Conclusion:
        """A difference counts as shown only when the interval and the corrected test agree."""
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
    """How the objective depends on a numeric option that has many values."""

    values: tuple[float, ...]
    scores: tuple[float, ...]
    correlation: Interval | None


@frozen(kw_only=True, eq=False)
class Answer:
    """What the trials show about a question."""

    question: Question
    values: tuple[Any, ...] = ()  #: of the compared option, as trials have them
    comparisons: tuple[Comparison, ...] = ()
    trend: Trend | None = None
    obstacle: str = ""  #: reason why there is no answer


@frozen(kw_only=True, eq=False)
class _Request:
    """A value and what it is compared with, in one cell."""

    values: tuple[Any, Any]
    cell: Cell


def answer(study: StudyRecord, question: Question, trials: Sequence[TrialRecord]) -> Answer:
    """Answer one question."""
    values = compared_values(study, question, trials)
    empty = Answer(question=question, values=tuple(values))
    obstacle = _obstacle(question, values)
    if obstacle:
        return evolve(empty, obstacle=obstacle)
    if question.baseline is None and len(values) > MANY_VALUES and all(map(_numeric, values)):
        if question.by is not None:
            return evolve(empty, obstacle=f"{question.compare} has many values; `by` suits a few")
        return evolve(empty, trend=_trend(study, question, matching_trials(question, trials)))
    requests = [request for request in _requests(study, question, values) if _has_both(request, question, trials)]
    if not requests and question.where:
        return evolve(empty, obstacle="no trials that meet its condition (`where`)")
    results = [_compare(study, question, trials, request, len(requests)) for request in requests]
    comparisons = [comparison for comparison in results if comparison is not None]
    if not comparisons:
        return evolve(empty, obstacle="no complete trials to compare")
    adjusted = holm([comparison.estimate.p for comparison in comparisons])
    corrected = (evolve(comparison, adjusted=p) for comparison, p in zip(comparisons, adjusted, strict=True))
    return evolve(empty, comparisons=tuple(corrected))


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


def _requests(study: StudyRecord, question: Question, values: Sequence[Any]) -> list[_Request]:
    """Every comparison in every cell, in the order of the report."""
    requests = [
        _Request(values=both, cell=cell)
        for both in _value_pairs(question, values)
        for cell in cells(study, question, both)
    ]

    def order(request: _Request) -> list[int]:
        return [value_index(study, axis, value) for axis, value in request.cell.at.items()]

    return sorted(requests, key=order)


def _value_pairs(question: Question, values: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Each value with what it is compared with."""
    if question.baseline is None:
        return [(value, before) for before, value in itertools.pairwise(values)]
    others = [value for value in values if identity(value) != identity(question.baseline)]
    against = [(value, question.baseline) for value in others]
    if len(values) > ALL_PAIRS:
        return against
    return against + [(later, earlier) for earlier, later in itertools.combinations(others, 2)]


def _has_both(request: _Request, question: Question, trials: Sequence[TrialRecord]) -> bool:
    return all(request.cell.trials(question.compare, request.values, trials))


def _compare(
    study: StudyRecord, question: Question, trials: Sequence[TrialRecord], request: _Request, comparisons: int
) -> Comparison | None:
    (value, baseline), cell = request.values, request.cell
    compared, reference = cell.trials(question.compare, request.values, trials)
    unmatched = {**cell.compared_fixed, **cell.reference_fixed}
    pairing = pair_up(study, [*compared, *reference], question.compare, value, baseline, unmatched=unmatched)
    if not pairing.pairs:
        return _unpaired(study, request, (compared, reference), comparisons)
    return Comparison(
        value=value,
        baseline=baseline,
        estimate=estimate(pairing.differences(), comparisons),
        pairs=len(pairing.pairs),
        left_out=pairing.left_out,
        at=cell.at,
        baseline_fixed=_selected(cell.reference_fixed, pairing.differing),
        value_fixed=_selected(cell.compared_fixed, pairing.differing),
        cost=cost_ratio(pairing, question.cost) if question.cost else None,
        subgroups=_subgroups(study, question, pairing),
    )


def _selected(values: Mapping[str, Any], axes: Sequence[str]) -> dict[str, Any]:
    return {axis: values[axis] for axis in axes if axis in values}


def _subgroups(study: StudyRecord, question: Question, pairing: Pairing) -> tuple[Subgroup, ...]:
    subgroups = []
    for axis, values in study.axes.items():
        split = [(value, pairing.where(axis, value)) for value in values] if axis != question.compare else []
        split = [(value, part) for value, part in split if part.pairs]
        if 2 <= len(split) <= MANY_VALUES:
            subgroups += [_subgroup(axis, value, part) for value, part in split]
    return tuple(subgroups)


def _subgroup(axis: str, value: object, pairing: Pairing) -> Subgroup:
    difference = interval(pairing.differences())
    return Subgroup(axis=axis, value=value, difference=difference, pairs=len(pairing.pairs))


def _unpaired(
    study: StudyRecord, request: _Request, sides: tuple[Sequence[TrialRecord], Sequence[TrialRecord]], comparisons: int
) -> Comparison | None:
    """Means of points, where options were drawn at random and no two points differ in this one only."""
    compared, reference = ([point.score.mean for point in points(study, side) if point.score] for side in sides)
    if not compared or not reference:
        return None
    difference = welch(compared, reference, comparisons)
    value, baseline = request.values
    return Comparison(value=value, baseline=baseline, estimate=difference, pairs=0, paired=False, at=request.cell.at)


def _trend(study: StudyRecord, question: Question, trials: Sequence[TrialRecord]) -> Trend:
    scored = [(point.parameters.get(question.compare), point.score) for point in points(study, trials)]
    known = [(float(value), score.mean) for value, score in scored if score and value is not None]
    values, scores = tuple(value for value, _ in known), tuple(score for _, score in known)
    return Trend(values=values, scores=scores, correlation=correlation(values, scores))


def _numeric(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
