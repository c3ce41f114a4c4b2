"""Options that a baseline cannot have: the study says so by what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bebertlab.interfaces.events import Question, StudyRecord
from bebertlab.report.resolved import resolved_part
from bebertlab.report.rows import identity


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
