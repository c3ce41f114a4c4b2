"""What all plots share: the canvas, the colours, and SVG that is the same for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any

from attrs import frozen

from bebertlab.interfaces.events import StudyRecord, TrialRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.html import INK, LINE, MUTED, PAPER, SERIES
from bebertlab.report.labels import value_label
from bebertlab.report.points import objective
from bebertlab.report.statistics import Interval, interval

MARKERS = ("o", "s", "D", "^", "v", "P")  #: a second sign beside the colour

_STYLE = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": False,
}


@contextmanager
def canvas(width: float, height: float, *, columns: int = 1, share_x: bool = False) -> Iterator[tuple[Any, list[Any]]]:
    """A figure of that many inches with one row of axes, drawn in the house style without a screen."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        axes = figure.subplots(1, columns, squeeze=False, sharex=share_x, sharey=True)
        yield figure, list(axes[0])


def svg(figure: Any, name: str) -> str:  # noqa: ANN401 - matplotlib is imported lazily
    """The figure as SVG text; `name` keeps the identifiers of plots on one page apart."""
    from matplotlib import rc_context

    written = io.StringIO()
    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(written, format="svg", bbox_inches="tight", pad_inches=0.08, metadata={"Date": None})
    return written.getvalue()


def colour(place: int) -> str:
    """The colour of a series."""
    return SERIES[place % len(SERIES)]


def marker(place: int) -> str:
    """The sign of a series."""
    return MARKERS[place % len(MARKERS)]


def limits(values: Sequence[float], *, room: float = 0.06) -> tuple[float, float]:
    """Axis limits with some room around the values."""
    low, high = min(values), max(values)
    margin = (high - low) * room or max(abs(high) * 0.05, 0.5)
    return low - margin, high + margin


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
    scores = (interval([fmean(of_seed) for _, of_seed in sorted(by_value[value].items())]) for value in values)
    return Curve(label=value_label(label), values=tuple(values), scores=tuple(scores))


def _has(trial: TrialRecord, axis: str, value: Any) -> bool:  # noqa: ANN401 - whatever YAML can say
    return not axis or identity(trial.parameters.get(axis)) == identity(value)
