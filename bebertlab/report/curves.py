"""How the score goes with a numeric option, for each value of another option."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from bebertlab.interfaces.events import StudyRecord, TrialRecord
from bebertlab.report.labels import value_label
from bebertlab.report.rows import identity, objective
from bebertlab.report.statistics import Interval, interval

_MOST = 6  #: lines that can be told apart


@frozen(kw_only=True, eq=False)
class Curve:
    """The mean score at each value, over seeds."""

    label: str
    values: tuple[float, ...]
    scores: tuple[Interval, ...]


def hue_axis(study: StudyRecord, *, but: str = "") -> str:
    """The option that lines and points are coloured by: that of the first question, else the first with few values."""
    asked = [question.compare for question in study.questions]
    for axis in [*asked, *study.axes]:
        if axis != but and 2 <= len(study.axes.get(axis, ())) <= _MOST:
            return axis
    return ""


def curves(study: StudyRecord, trials: Sequence[TrialRecord], path: str, hue: str) -> tuple[Curve, ...]:
    """A line for each value of the option `hue`, or one line where it is empty."""
    groups = study.axes.get(hue, (None,))
    found = [_curve(study, [one for one in trials if _has(one, hue, value)], path, value) for value in groups]
    return tuple(one for one in found if one.values)


def _curve(study: StudyRecord, trials: Sequence[TrialRecord], path: str, label: object) -> Curve:
    by_value: dict[float, dict[int, list[float]]] = {}
    for trial in trials:
        score = objective(study, trial)
        if score is not None and path in trial.parameters:
            by_value.setdefault(trial.parameters[path], {}).setdefault(trial.seed, []).append(score)
    values = sorted(by_value)
    scores = (interval([_mean(of_seed) for _, of_seed in sorted(by_value[value].items())]) for value in values)
    return Curve(label=value_label(label), values=tuple(values), scores=tuple(scores))


def _has(trial: TrialRecord, axis: str, value: Any) -> bool:  # noqa: ANN401 - whatever YAML can say
    return not axis or identity(trial.parameters.get(axis)) == identity(value)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
