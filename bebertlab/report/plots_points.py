"""The plots of all points: ranked with their intervals, and against their cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bebertlab.interfaces.events import StudyRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.html import INK, MUTED
from bebertlab.report.labels import MISSING, objective_label, short_names, value_label
from bebertlab.report.plots import canvas, colour, hue_axis, limits, marker, svg
from bebertlab.report.points import CostedPoint, Point, objective

_MOST = 60  #: points in the ranked plot; the table has all
_INCHES_PER_CHARACTER = 0.085
_MARKER = 7.5  #: points across a marker of the front
#: offset of the rank from a point of the front, in points, and its horizontal alignment
_LABEL_POSITIONS = (
    (7, 5, "left"),
    (-7, 5, "right"),
    (7, -12, "left"),
    (-7, -12, "right"),
    (7, 16, "left"),
    (-7, 16, "right"),
    (7, -23, "left"),
    (-7, -23, "right"),
)
_LOGARITHMIC_FROM = 10.0  #: ratio of the highest to the lowest cost


def ranked(study: StudyRecord, points: Sequence[Point], name: str) -> str:
    """Means with intervals and single seeds, best at the top, the searched values as columns at the left."""
    shown = [point for point in points if point.score is not None][:_MOST]
    with canvas(6.4, 0.9 + 0.205 * len(shown)) as (figure, (axis,)):
        hue = hue_axis(study)
        for row, point in enumerate(shown):
            _ranked_point(axis, study, point, row, _series(study, hue, point))
        axis.set_ylim(len(shown) - 0.4, -0.6)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.set_xlabel(objective_label(study))
        _columns(axis, study, shown)
        return svg(figure, name)


def against_cost(
    study: StudyRecord, costed: Sequence[CostedPoint], front: Sequence[CostedPoint], label: str, name: str
) -> str:
    """The score against a cost; the points of the front are connected and labelled with their rank."""
    with canvas(6.6, 3.9) as (figure, (axis,)):
        hue = hue_axis(study)
        numbers = {item.point.number for item in front}
        for item in costed:
            _cost_point(axis, item, _series(study, hue, item.point), on_front=item.point.number in numbers)
        low, high = _cost_limits(axis, [item.cost for item in costed])
        across, up = [item.cost for item in front], [item.score.mean for item in front]
        axis.step([*across, high], [*up, up[-1]], where="post", color=MUTED, linewidth=1, linestyle="--", zorder=1)
        axis.set_xlim(low, high)
        axis.set_xlabel(label)
        axis.set_ylabel(objective_label(study))
        _legend(axis, study, hue)
        _front_labels(figure, axis, costed, front)
        return svg(figure, name)


def _ranked_point(axis: Any, study: StudyRecord, point: Point, row: int, series: int) -> None:  # noqa: ANN401
    tone, score = colour(series), point.score
    if score is None:
        return
    if score.low is not None and score.high is not None:
        axis.plot([score.low, score.high], [row, row], color=tone, linewidth=1.6, alpha=0.55, zorder=2)
    seeds = [objective(study, trial) for trial in point.trials.values()]
    axis.plot(seeds, [row] * len(seeds), linestyle="", marker="|", markersize=6, color=MUTED, zorder=1)
    axis.plot(score.mean, row, marker=marker(series), markersize=5.5, color=tone, zorder=3)


def _columns(axis: Any, study: StudyRecord, shown: Sequence[Point]) -> None:  # noqa: ANN401
    """The searched values as a table whose rows are those of the plot, right to left from the axis."""
    names = short_names(study.axes)
    width = axis.figure.get_figwidth() * axis.get_position().width
    edge = -0.02
    columns = [(short, [_cell(point, path) for point in shown]) for path, short in names.items()]
    for title, cells in reversed([("", [f"#{point.number}" for point in shown]), *columns]):
        edge -= (max(map(len, [title, *cells])) + 1.5) * _INCHES_PER_CHARACTER / width
        axis.text(edge, -0.9, title, transform=axis.get_yaxis_transform(), color=MUTED, va="bottom", fontsize=8.5)
        for row, cell in enumerate(cells):
            axis.text(edge, row, cell, transform=axis.get_yaxis_transform(), va="center", fontsize=8.5)


def _cell(point: Point, path: str) -> str:
    return value_label(point.parameters[path]) if path in point.parameters else MISSING


def _cost_point(axis: Any, item: CostedPoint, series: int, *, on_front: bool) -> None:  # noqa: ANN401
    tone, score = colour(series), item.score
    if on_front and score.low is not None and score.high is not None:
        axis.plot([item.cost, item.cost], [score.low, score.high], color=tone, linewidth=1.6, zorder=2)
    size, alpha = (_MARKER, 1.0) if on_front else (5, 0.55)
    edge = INK if on_front else tone
    axis.plot(
        item.cost,
        score.mean,
        marker=marker(series),
        markersize=size,
        color=tone,
        mec=edge,
        alpha=alpha,
        zorder=3,
    )


def _cost_limits(axis: Any, costs: Sequence[float]) -> tuple[float, float]:  # noqa: ANN401
    """The ends of the axis; costs of different magnitude get a logarithmic scale."""
    if min(costs) > 0 and max(costs) > _LOGARITHMIC_FROM * min(costs):
        axis.set_xscale("log", subs=[])
        axis.xaxis.set_major_locator(_log_ticks())
        axis.xaxis.set_major_formatter("{x:g}")
        low, high = limits([math.log10(cost) for cost in costs], padding=0.08)
        return 10**low, 10**high
    low, high = limits(costs, padding=0.08)
    return max(low, 0) if min(costs) >= 0 else low, high


def _log_ticks() -> Any:  # noqa: ANN401 - matplotlib is imported lazily
    """1, 2 and 5 of every power of ten."""
    from matplotlib.ticker import LogLocator

    return LogLocator(subs=(1.0, 2.0, 5.0))


def _series(study: StudyRecord, hue: str, point: Point) -> int:
    values = [identity(value) for value in study.axes.get(hue, ())]
    value = identity(point.parameters.get(hue))
    return values.index(value) if value in values else 0


def _legend(axis: Any, study: StudyRecord, hue: str) -> None:  # noqa: ANN401
    for series, value in enumerate(study.axes.get(hue, ())):
        axis.plot([], [], linestyle="", marker=marker(series), color=colour(series), label=value_label(value))
    if hue:
        title = short_names(study.axes)[hue]
        axis.legend(title=title, loc="center left", bbox_to_anchor=(1.01, 0.5))


def _front_labels(figure: Any, axis: Any, costed: Sequence[CostedPoint], front: Sequence[CostedPoint]) -> None:  # noqa: ANN401
    """Ranks next to the points of the front, each where it overlaps the fewest markers and earlier ranks."""
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else figure._get_renderer()
    occupied = [_marker_box(figure, axis, item) for item in costed]
    for item in reversed(front):
        texts = [_rank(axis, item, *where) for where in _LABEL_POSITIONS]
        boxes = [text.get_window_extent(renderer) for text in texts]
        overlaps = [sum(box.overlaps(other) for other in occupied) for box in boxes]
        chosen = overlaps.index(min(overlaps))
        occupied.append(boxes[chosen])
        for text in texts[:chosen] + texts[chosen + 1 :]:
            text.remove()


def _marker_box(figure: Any, axis: Any, item: CostedPoint) -> Any:  # noqa: ANN401
    from matplotlib.transforms import Bbox

    x, y = axis.transData.transform((item.cost, item.score.mean))
    half = _MARKER / 2 * figure.dpi / 72
    return Bbox.from_extents(x - half, y - half, x + half, y + half)


def _rank(axis: Any, item: CostedPoint, across: float, up: float, side: str) -> Any:  # noqa: ANN401
    return axis.annotate(
        f"#{item.point.number}",
        (item.cost, item.score.mean),
        xytext=(across, up),
        textcoords="offset points",
        ha=side,
        fontsize=8.5,
        fontweight="bold",
    )
