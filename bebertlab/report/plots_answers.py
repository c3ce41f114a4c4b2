"""The plots of an answer: differences with their intervals, and how the score goes with a numeric option."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen

from bebertlab.interfaces.events import StudyRecord
from bebertlab.report.answers import Answer, Comparison, Conclusion, Trend
from bebertlab.report.cells import said_at
from bebertlab.report.html import INK, MUTED, PAPER
from bebertlab.report.labels import axis_label, short_names, unit, value_label
from bebertlab.report.plots import Curve, canvas, colour, limits, marker, svg
from bebertlab.report.statistics import Interval
from bebertlab.report.summaries import same_baseline

_INCHES_OF_NUMBERS = 0.28  #: between the axis and its label
_CHARACTERS_OF_A_CURVE = 48  #: that fit below it, with room between the labels
COLUMNS = 4  #: comparisons side by side; more are rows of one plot


@frozen
class _Line:
    """One row of the plot."""

    label: str
    heading: bool
    key: tuple[str, str] | None  #: axis and value of a part; None is the whole comparison


def forest(study: StudyRecord, found: Answer, name: str) -> str:
    """Differences of every comparison, over all pairs and, of a few, by the values of the other options."""
    shown = found.comparisons
    if len(shown) > COLUMNS:
        return _rows(study, found, name)
    lines = _lines(study, shown)
    height = 0.85 + 0.24 * len(lines)
    with canvas(1.6 + 2.35 * len(shown), height, columns=len(shown), share_x=True) as (figure, axes):
        for axis, comparison in zip(axes, shown, strict=True):
            _column(axis, comparison, lines, _compared(study, found, comparison, against=False, joined="\n"))
        _scale(axes, shown)
        _cut_marks(axes, shown, lines)
        axes[0].set_yticks(range(len(lines)), [line.label for line in lines])
        for tick, line in zip(axes[0].get_yticklabels(), lines, strict=True):
            tick.set_color(MUTED if line.heading else INK)
            tick.set_fontweight("bold" if line.key is None and not line.heading else "normal")
        axes[0].set_ylim(len(lines) - 0.4, -0.6)
        # below the numbers, however low the plot is
        below = axes[0].get_position().y0 - _INCHES_OF_NUMBERS / height
        figure.supxlabel(_difference_label(study), fontsize=9.5, y=below, va="top")
        figure.subplots_adjust(wspace=0.08)
        return svg(figure, name)


def _rows(study: StudyRecord, found: Answer, name: str) -> str:
    """A row for each comparison, best at the top."""
    shown = sorted(found.comparisons, key=lambda one: one.estimate.interval.mean, reverse=study.maximize)
    against = found.question.baseline is not None and same_baseline(found)
    with canvas(5.2, 0.85 + 0.24 * len(shown)) as (figure, (axis,)):
        axis.axvline(0, color=INK, linewidth=1)
        for place, one in enumerate(shown):
            _whisker(axis, one.estimate.interval, place, whole=True, filled=one.verdict is Conclusion.SHOWN)
        _scale([axis], [evolve(one, parts=()) for one in shown])
        axis.set_yticks(range(len(shown)), [_compared(study, found, one, against=against) for one in shown])
        axis.set_ylim(len(shown) - 0.4, -0.6)
        axis.set_title(f"minus {value_label(shown[0].baseline)}" if against else "")
        axis.set_xlabel(_difference_label(study))
        _plain(axis)
        return svg(figure, name)


def curve(study: StudyRecord, curves: Sequence[Curve], option: str, hue: str, name: str) -> str:
    """The score against a numeric option, a line for each value of another option."""
    values = sorted({value for one in curves for value in one.values})
    with canvas(6.2, 3.4) as (figure, (axis,)):
        for place, one in enumerate(curves):
            shift = (place - (len(curves) - 1) / 2) * 0.07
            across = [values.index(value) + shift for value in one.values]
            _series(axis, across, one, place)
        axis.set_xticks(range(len(values)), [value_label(value) for value in values])
        _tilt(axis, len(values))
        axis.set_xlim(-0.4, len(values) - 0.6)
        axis.grid(visible=False, axis="x")
        axis.set_xlabel(option)
        axis.set_ylabel(axis_label(study.objective))
        if hue:
            axis.legend(title=hue, loc="center left", bbox_to_anchor=(1.01, 0.5))
        return svg(figure, name)


def _tilt(axis: Any, values: int) -> None:  # noqa: ANN401
    """Labels that would not fit beside each other stand aslant."""
    longest = max((len(label.get_text()) for label in axis.get_xticklabels()), default=0)
    if longest > _CHARACTERS_OF_A_CURVE / values:
        for label in axis.get_xticklabels():
            label.set(rotation=35, ha="right", rotation_mode="anchor")


def scatter(study: StudyRecord, trend: Trend, option: str, name: str) -> str:
    """The score of every point against a numeric option with many values."""
    with canvas(6.2, 3.4) as (figure, (axis,)):
        axis.plot(trend.values, trend.scores, linestyle="", marker="o", color=colour(0), alpha=0.75)
        if min(trend.values) > 0 and max(trend.values) > 30 * min(trend.values):
            axis.set_xscale("log")
        axis.set_xlabel(option)
        axis.set_ylabel(axis_label(study.objective))
        return svg(figure, name)


def over(shown: Sequence[Comparison]) -> str:
    """What whole comparisons are made of."""
    kinds = {one.paired: "all pairs" if one.paired else "all points" for one in shown}
    return " or ".join(kinds[paired] for paired in (True, False) if paired in kinds)


def _lines(study: StudyRecord, shown: Sequence[Comparison]) -> list[_Line]:
    names = short_names(study.axes)
    lines = [_Line(over(shown), False, None)]
    for axis in study.axes:
        values = list(dict.fromkeys(value_label(p.value) for one in shown for p in one.parts if p.axis == axis))
        if values:
            lines.append(_Line(f"{names[axis]}:", True, None))
            lines += [_Line(value, False, (axis, value)) for value in values]
    return lines


def _column(axis: Any, comparison: Comparison, lines: Sequence[_Line], title: str) -> None:  # noqa: ANN401
    claimed = comparison.verdict is Conclusion.SHOWN
    axis.axvline(0, color=INK, linewidth=1)
    for place, line in enumerate(lines):
        shown = _interval(comparison, line)
        if shown is not None:
            whole = line.key is None
            _whisker(axis, shown, place, whole=whole, filled=claimed or not whole)
    axis.set_title(title)
    _plain(axis)


def _compared(study: StudyRecord, found: Answer, comparison: Comparison, *, against: bool, joined: str = ", ") -> str:
    """A comparison beside its row; `against`: the title names the value that all are compared with."""
    ours, theirs = value_label(comparison.value), value_label(comparison.baseline)
    if not against:
        ours = f"{theirs} → {ours}" if found.question.baseline is None else f"{ours} minus {theirs}"
    return joined.join(filter(None, [ours, said_at(study, comparison.at)]))


def _plain(axis: Any) -> None:  # noqa: ANN401
    """Rows without lines and ticks."""
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def _interval(comparison: Comparison, line: _Line) -> Interval | None:
    if line.heading:
        return None
    if line.key is None:
        return comparison.estimate.interval
    found = (part for part in comparison.parts if (part.axis, value_label(part.value)) == line.key)
    return next((part.difference for part in found), None)


def _cut_marks(axes: Sequence[Any], shown: Sequence[Comparison], lines: Sequence[_Line]) -> None:
    """Arrow heads where an interval goes on beyond the edge."""
    left, right = axes[0].get_xlim()
    for axis, comparison in zip(axes, shown, strict=True):
        for place, line in enumerate(lines):
            found = _interval(comparison, line)
            if found is None or found.low is None or found.high is None:
                continue
            for beyond, edge, head in ((found.low < left, left, "<"), (found.high > right, right, ">")):
                if beyond:
                    axis.plot(edge, place, marker=head, markersize=5, color=MUTED, clip_on=False)


def _whisker(axis: Any, shown: Interval, place: int, *, whole: bool, filled: bool) -> None:  # noqa: ANN401
    tone = colour(0) if whole else MUTED
    if shown.low is not None and shown.high is not None:
        axis.plot([shown.low, shown.high], [place, place], color=tone, linewidth=2.6 if whole else 1.4, zorder=2)
    face = tone if filled else PAPER
    axis.plot(shown.mean, place, marker="D" if whole else "o", markersize=7 if whole else 5, color=tone, mfc=face)


def _scale(axes: Sequence[Any], shown: Sequence[Comparison]) -> None:
    """Limits that hold every mean and whole interval; a part's interval that is far wider is cut at the edge."""
    whole = [one.estimate.interval for one in shown]
    parts = [part.difference for one in shown for part in one.parts]
    edges = [0.0, *(one.mean for one in [*whole, *parts])]
    edges += [bound for one in whole for bound in (one.low, one.high) if bound is not None]
    reach = sorted(abs(bound) for one in parts for bound in (one.low, one.high) if bound is not None)
    if reach:
        usual = reach[math.floor(0.85 * (len(reach) - 1))]
        edges += [bound for one in parts for bound in (one.low, one.high) if bound is not None and abs(bound) <= usual]
    axes[0].set_xlim(*limits(edges))


def _difference_label(study: StudyRecord) -> str:
    better = "right" if study.maximize else "left"
    return f"difference of {study.objective} in {unit(study.objective)} ({better} is better)"


def _series(axis: Any, across: Sequence[float], one: Curve, place: int) -> None:  # noqa: ANN401
    tone = colour(place)
    for x, score in zip(across, one.scores, strict=True):
        if score.low is not None and score.high is not None:
            axis.plot([x, x], [score.low, score.high], color=tone, linewidth=1.6, alpha=0.7)
    means = [score.mean for score in one.scores]
    axis.plot(across, means, color=tone, marker=marker(place), markersize=6, linewidth=1.4, label=one.label)
