"""Common parts of all plots: the canvas, the colours, and SVG that is the same for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from bebertlab.interfaces.events import StudyRecord
from bebertlab.report.html import INK, LINE, MUTED, PAPER, SERIES

MARKERS = ("o", "s", "D", "^", "v", "P")  #: distinguish series without colours

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
def canvas(
    width: float,
    height: float,
    *,
    columns: int = 1,
    rows: int = 1,
    share_x: bool | Literal["row"] = False,
    share_y: bool = True,
) -> Iterator[tuple[Any, list[Any]]]:
    """A figure of the given size in inches and its axes, row by row, in the style of all plots; needs no screen."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        axes = figure.subplots(rows, columns, squeeze=False, sharex=share_x, sharey=share_y)
        yield figure, list(axes.flat)


def svg(figure: Any, name: str) -> str:  # noqa: ANN401 - matplotlib is imported lazily
    """The figure as SVG text; `name` makes the identifiers of plots on one page distinct."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.08, metadata={"Date": None})
    return buffer.getvalue()


def colour(series: int) -> str:
    """The colour of a series."""
    return SERIES[series % len(SERIES)]


def marker(series: int) -> str:
    """The marker of a series."""
    return MARKERS[series % len(MARKERS)]


def limits(values: Sequence[float], *, padding: float = 0.06) -> tuple[float, float]:
    """Axis limits with some padding around the values."""
    low, high = min(values), max(values)
    margin = (high - low) * padding or max(abs(high) * 0.05, 0.5)
    return low - margin, high + margin


_MOST = 6  #: lines that can be distinguished


def hue_axis(study: StudyRecord, *, but: str = "") -> str:
    """The option that lines and points are coloured by: that of the first question, else the first with few values."""
    questions = [question.compare for question in study.questions]
    for axis in [*questions, *study.axes]:
        if axis != but and 2 <= len(study.axes.get(axis, ())) <= _MOST:
            return axis
    return ""
