"""Under which values of other options two values are compared: the conditions of a question, one cell at a time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from bebertlab.interfaces.events import Question, StudyRecord, TrialRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.labels import listing, short_names, value_label
from bebertlab.report.resolved import resolved_part

Allowed = Mapping[str, Sequence[Any]]
"""Axes to the values that trials must have there."""


@frozen(kw_only=True, eq=False)
class Cell:
    """What the trials of both sides of a comparison must have."""

    at: Mapping[str, Any]  #: the values that tell this cell from the others of the question
    ours: Allowed
    theirs: Allowed
    across: Mapping[str, Any] = field(factory=dict)  #: axes on which the baseline has this value only
    own: Mapping[str, Any] = field(factory=dict)  #: axes on which the compared value has this value only

    def trials(
        self, path: str, pair: tuple[Any, Any], trials: Sequence[TrialRecord]
    ) -> tuple[list[TrialRecord], list[TrialRecord]]:
        """The trials of each value that count."""
        ours, theirs = (
            [one for one in trials if _has(one, path, [value]) and meets(one, allowed)]
            for value, allowed in zip(pair, (self.ours, self.theirs), strict=True)
        )
        return ours, theirs


def cells(study: StudyRecord, question: Question, pair: tuple[Any, Any]) -> list[Cell]:
    """The cells in which a value (first) is compared with another.

    No cell averages over an option that only one of both can have: a single model of one size is compared with
    ensembles of each size by itself. Where a condition of the question speaks of an option of which a value can have
    one value only, that value is exempt from it.
    """
    where = _where(question)
    lone = [lone_values(study, question.compare, value) for value in pair]
    free = [_free(question, value, fixed) for value, fixed in zip(pair, lone, strict=True)]
    both = lone[0].keys() & lone[1].keys()
    if any(not _among(fixed[axis], where[axis]) for fixed in lone for axis in both & where.keys()):
        return []
    # a value that is not exempt meets the other one where it can
    bound = {
        axis: fixed[axis] for fixed, exempt in zip(lone, free, strict=True) for axis in fixed.keys() - exempt.keys()
    }
    split = _split(study, question) | lone[0].keys() | lone[1].keys()
    choices = {axis: _values(study, where, axis, bound) for axis in study.axes if axis in split - both}
    found = []
    for values in itertools.product(*choices.values()):
        at = dict(zip(choices, values, strict=True))
        allowed = {**where, **{axis: [value] for axis, value in at.items()}}
        ours, theirs = ({axis: allowed[axis] for axis in allowed if axis not in fixed} for fixed in free)
        found.append(Cell(at=at, ours=ours, theirs=theirs, own=free[0], across=free[1]))
    return found


def counted(question: Question, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that meet the condition of a question."""
    return [one for one in trials if meets(one, _where(question))]


def meets(trial: TrialRecord, allowed: Allowed) -> bool:
    """Whether a trial has one of the allowed values on each axis."""
    return all(_has(trial, axis, values) for axis, values in allowed.items())


def place(study: StudyRecord, axis: str, value: object) -> int:
    """The place of a value in the study's order."""
    return [identity(one) for one in study.axes[axis]].index(identity(value))


def said_at(study: StudyRecord, at: Mapping[str, Any]) -> str:
    """The values of a cell in a few words, e.g. "size 4"; empty for a question that has one cell."""
    names = short_names(study.axes)
    return ", ".join(f"{names.get(axis, axis)} {value_label(value)}" for axis, value in at.items())


def condition(study: StudyRecord, question: Question) -> str:
    """A sentence about which trials count; empty where all do."""
    names = short_names(study.axes)
    meant = [
        f"{names.get(axis, axis)} {listing([*map(value_label, values)], 'or')}"
        for axis, values in _where(question).items()
    ]
    lone = {} if question.baseline is None else lone_values(study, question.compare, question.baseline)
    exempt = [f"{names.get(axis, axis)} {value_label(lone[axis])}" for axis in _where(question) if axis in lone]
    aside = f"; {value_label(question.baseline)} has {listing(exempt)} only" if exempt else ""
    return f"Only trials with {listing(meant)} count{aside}." if meant else ""


def _split(study: StudyRecord, question: Question) -> set[str]:
    """Axes whose values are answered apart, in all comparisons of a question."""
    by = {question.by} if question.by is not None else set()
    return by | fixed_axes(study, question).keys()


def _free(question: Question, value: object, lone: Mapping[str, Any]) -> dict[str, Any]:
    """Axes of which the conditions do not bind a value, with the one value that it has there."""
    if question.baseline is None:
        return {}
    named = {*_where(question), question.by}
    is_baseline = identity(value) == identity(question.baseline)
    return {axis: only for axis, only in lone.items() if is_baseline or axis in named}


def _where(question: Question) -> dict[str, list[Any]]:
    return {axis: values if isinstance(values, list) else [values] for axis, values in (question.where or {}).items()}


def _values(study: StudyRecord, where: Allowed, axis: str, bound: Mapping[str, Any]) -> list[Any]:
    values = [bound[axis]] if axis in bound else study.axes.get(axis, ())
    return [value for value in values if axis not in where or _among(value, where[axis])]


def _has(trial: TrialRecord, axis: str, values: Sequence[Any]) -> bool:
    return axis in trial.parameters and _among(trial.parameters[axis], values)


def _among(value: object, values: Sequence[Any]) -> bool:
    return identity(value) in map(identity, values)


def fixed_axes(study: StudyRecord, question: Question) -> dict[str, Any]:
    """Axes on which the baseline has one value because others would mean nothing there, with that value.

    A single model has one size, and is compared with ensembles of every size. That is so where lines of `exclude`
    leave the baseline one of the listed values, and the option is one of the same stage as the compared one. What is
    left out elsewhere (long training of another stage) does mean something: there equals are compared only.
    """
    return {} if question.baseline is None else lone_values(study, question.compare, question.baseline)


def lone_values(study: StudyRecord, path: str, value: object) -> dict[str, Any]:
    """Axes of the same stage of which `exclude` leaves a value of `path` one value only, with that value."""
    stage = path.split(".")[0]
    beside = [axis for axis in study.axes if axis != path and axis.split(".")[0] == stage]
    excluded = (resolved_part(study, "exclude") or ()) if beside else ()
    left = {axis: _left(study, path, value, axis, excluded) for axis in beside}
    return {axis: values[0] for axis, values in left.items() if len(values) == 1 < len(study.axes[axis])}


def _left(study: StudyRecord, path: str, value: object, axis: str, excluded: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The values of an axis that a value of `path` may have."""
    out: set[str] = set()
    for item in excluded:
        if item.keys() == {path, axis} and _is_listed(value, item[path]):
            out |= {identity(one) for one in _listed(item[axis])}
    return [one for one in study.axes[axis] if identity(one) not in out]


def _is_listed(value: object, values: object) -> bool:
    return identity(value) in map(identity, _listed(values))


def _listed(values: object) -> list[Any]:
    return values if isinstance(values, list) else [values]
