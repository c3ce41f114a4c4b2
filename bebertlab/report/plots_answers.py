"""The plots of an answer: differences with their intervals, and the score against a numeric option."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from attrs import evolve, frozen

from bebertlab.interfaces.events import StudyRecord, TrialRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.answers import Answer, Comparison, Conclusion, Trend
from bebertlab.report.html import INK, MUTED, PAPER
from bebertlab.report.labels import difference_unit, objective_label, short_names, value_label
from bebertlab.report.pairs import cell_label
from bebertlab.report.plots import canvas, colour, limits, marker, svg
from bebertlab.report.points import objective
from bebertlab.report.statistics import Interval, interval
from bebertlab.report.wording import has_one_baseline

_LABEL_INCHES = 0.28  #: between the axis and its label
_TICK_CHARACTERS = 48  #: that fit below a plot of scores, with space between the labels
COLUMNS = 4  #: comparisons side by side; more are rows of one plot


@frozen
class _Line:
    """One row of the plot."""

    label: str
    heading: bool
    subgroup: tuple[str, str] | None  #: axis and value; None is the whole comparison


@frozen(kw_only=True, eq=False)
class ScoreLine:
    """The mean score at each value of a numeric option, over seeds."""

    label: str
    values: tuple[float, ...]
    scores: tuple[Interval, ...]


def forest(study: StudyRecord, answer: Answer, name: str) -> str:
    """Differences of every comparison, over all pairs and, of a few, by the values of the other options."""
    comparisons = answer.comparisons
    if len(comparisons) > COLUMNS:
        return _rows(study, answer, name)
    lines = _lines(study, comparisons)
    height = 0.85 + 0.24 * len(lines)
    width = 1.6 + 2.35 * len(comparisons)
    with canvas(width, height, columns=len(comparisons), share_x=True) as (figure, axes):
        for axis, comparison in zip(axes, comparisons, strict=True):
            _column(axis, comparison, lines, _title(study, answer, comparison, separator="\n"))
        _scale(axes, comparisons)
        _mark_cut_intervals(axes, comparisons, lines)
        axes[0].set_yticks(range(len(lines)), [line.label for line in lines])
        for tick, line in zip(axes[0].get_yticklabels(), lines, strict=True):
            tick.set_color(MUTED if line.heading else INK)
            tick.set_fontweight("bold" if line.subgroup is None and not line.heading else "normal")
        axes[0].set_ylim(len(lines) - 0.4, -0.6)
        # below the tick labels, whatever the height of the plot
        below = axes[0].get_position().y0 - _LABEL_INCHES / height
        figure.supxlabel(_difference_label(study), fontsize=9.5, y=below, va="top")
        figure.subplots_adjust(wspace=0.08)
        return svg(figure, name)


def _rows(study: StudyRecord, answer: Answer, name: str) -> str:
    """A row for each comparison, best at the top."""
    comparisons = sorted(answer.comparisons, key=lambda item: item.estimate.interval.mean, reverse=study.maximize)
    named_once = answer.question.baseline is not None and has_one_baseline(answer)
    with canvas(5.2, 0.85 + 0.24 * len(comparisons)) as (figure, (axis,)):
        axis.axvline(0, color=INK, linewidth=1)
        for row, comparison in enumerate(comparisons):
            shown = comparison.conclusion is Conclusion.SHOWN
            _whisker(axis, comparison.estimate.interval, row, whole=True, filled=shown)
        _scale([axis], [evolve(comparison, subgroups=()) for comparison in comparisons])
        labels = [_title(study, answer, comparison, baseline=not named_once) for comparison in comparisons]
        axis.set_yticks(range(len(comparisons)), labels)
        axis.set_ylim(len(comparisons) - 0.4, -0.6)
        axis.set_title(f"minus {value_label(comparisons[0].baseline)}" if named_once else "")
        axis.set_xlabel(_difference_label(study))
        _hide_rows(axis)
        return svg(figure, name)


def score_lines(study: StudyRecord, trials: Sequence[TrialRecord], path: str, hue: str) -> tuple[ScoreLine, ...]:
    """A line for each value of the option `hue`, or one line where it is empty."""
    groups = study.axes.get(hue, (None,))
    lines = [
        _score_line(study, [trial for trial in trials if _has(trial, hue, value)], path, value) for value in groups
    ]
    return tuple(line for line in lines if line.values)


def _score_line(study: StudyRecord, trials: Sequence[TrialRecord], path: str, label: object) -> ScoreLine:
    by_value: dict[float, dict[int, list[float]]] = {}
    for trial in trials:
        score = objective(study, trial)
        if score is not None and path in trial.parameters:
            by_value.setdefault(trial.parameters[path], {}).setdefault(trial.seed, []).append(score)
    values = sorted(by_value)
    scores = (interval([fmean(of_seed) for _, of_seed in sorted(by_value[value].items())]) for value in values)
    return ScoreLine(label=value_label(label), values=tuple(values), scores=tuple(scores))


def _has(trial: TrialRecord, axis: str, value: object) -> bool:
    return not axis or identity(trial.parameters.get(axis)) == identity(value)


def score_plot(study: StudyRecord, lines: Sequence[ScoreLine], option: str, hue: str, name: str) -> str:
    """The score against a numeric option, a line for each value of another option."""
    values = sorted({value for line in lines for value in line.values})
    with canvas(6.2, 3.4) as (figure, (axis,)):
        for series, line in enumerate(lines):
            shift = (series - (len(lines) - 1) / 2) * 0.07
            _draw_line(axis, [values.index(value) + shift for value in line.values], line, series)
        axis.set_xticks(range(len(values)), [value_label(value) for value in values])
        _tilt(axis, len(values))
        axis.set_xlim(-0.4, len(values) - 0.6)
        axis.grid(visible=False, axis="x")
        axis.set_xlabel(option)
        axis.set_ylabel(objective_label(study))
        if hue:
            axis.legend(title=hue, loc="center left", bbox_to_anchor=(1.01, 0.5))
        return svg(figure, name)


def _tilt(axis: Any, values: int) -> None:  # noqa: ANN401
    """Tilt labels that would not fit next to each other."""
    longest = max((len(label.get_text()) for label in axis.get_xticklabels()), default=0)
    if longest > _TICK_CHARACTERS / values:
        for label in axis.get_xticklabels():
            label.set(rotation=35, ha="right", rotation_mode="anchor")


def scatter(study: StudyRecord, trend: Trend, option: str, name: str) -> str:
    """The score of every point against a numeric option with many values."""
    with canvas(6.2, 3.4) as (figure, (axis,)):
        axis.plot(trend.values, trend.scores, linestyle="", marker="o", color=colour(0), alpha=0.75)
        if min(trend.values) > 0 and max(trend.values) > 30 * min(trend.values):
            axis.set_xscale("log")
        axis.set_xlabel(option)
        axis.set_ylabel(objective_label(study))
        return svg(figure, name)


def pairs_label(comparisons: Sequence[Comparison]) -> str:
    """Whether whole comparisons are computed from all pairs or from all points."""
    labels = {item.paired: "all pairs" if item.paired else "all points" for item in comparisons}
    return " or ".join(labels[paired] for paired in (True, False) if paired in labels)


def _lines(study: StudyRecord, comparisons: Sequence[Comparison]) -> list[_Line]:
    names = short_names(study.axes)
    lines = [_Line(pairs_label(comparisons), False, None)]
    for axis in study.axes:
        subgroups = [subgroup for item in comparisons for subgroup in item.subgroups if subgroup.axis == axis]
        values = list(dict.fromkeys(value_label(subgroup.value) for subgroup in subgroups))
        if values:
            lines.append(_Line(f"{names[axis]}:", True, None))
            lines += [_Line(value, False, (axis, value)) for value in values]
    return lines


def _column(axis: Any, comparison: Comparison, lines: Sequence[_Line], title: str) -> None:  # noqa: ANN401
    shown = comparison.conclusion is Conclusion.SHOWN
    axis.axvline(0, color=INK, linewidth=1)
    for row, line in enumerate(lines):
        difference = _interval(comparison, line)
        if difference is not None:
            whole = line.subgroup is None
            _whisker(axis, difference, row, whole=whole, filled=shown or not whole)
    axis.set_title(title)
    _hide_rows(axis)


def _title(
    study: StudyRecord, answer: Answer, comparison: Comparison, *, baseline: bool = True, separator: str = ", "
) -> str:
    """The compared value, with its baseline if that is not named elsewhere."""
    compared, reference = value_label(comparison.value), value_label(comparison.baseline)
    if baseline:
        compared = f"{reference} → {compared}" if answer.question.baseline is None else f"{compared} minus {reference}"
    return separator.join(filter(None, [compared, cell_label(study, comparison.at)]))


def _hide_rows(axis: Any) -> None:  # noqa: ANN401
    """No lines and ticks for rows."""
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def _interval(comparison: Comparison, line: _Line) -> Interval | None:
    if line.heading:
        return None
    if line.subgroup is None:
        return comparison.estimate.interval
    matching = (item for item in comparison.subgroups if (item.axis, value_label(item.value)) == line.subgroup)
    return next((subgroup.difference for subgroup in matching), None)


def _mark_cut_intervals(axes: Sequence[Any], comparisons: Sequence[Comparison], lines: Sequence[_Line]) -> None:
    """Arrow heads where an interval exceeds the axis."""
    left, right = axes[0].get_xlim()
    for axis, comparison in zip(axes, comparisons, strict=True):
        for row, line in enumerate(lines):
            difference = _interval(comparison, line)
            if difference is None or difference.low is None or difference.high is None:
                continue
            for beyond, edge, head in ((difference.low < left, left, "<"), (difference.high > right, right, ">")):
                if beyond:
                    axis.plot(edge, row, marker=head, markersize=5, color=MUTED, clip_on=False)


def _whisker(axis: Any, difference: Interval, row: int, *, whole: bool, filled: bool) -> None:  # noqa: ANN401
    tone = colour(0) if whole else MUTED
    if difference.low is not None and difference.high is not None:
        width = 2.6 if whole else 1.4
        axis.plot([difference.low, difference.high], [row, row], color=tone, linewidth=width, zorder=2)
    face = tone if filled else PAPER
    axis.plot(difference.mean, row, marker="D" if whole else "o", markersize=7 if whole else 5, color=tone, mfc=face)


def _scale(axes: Sequence[Any], comparisons: Sequence[Comparison]) -> None:
    """Limits that show every mean and whole interval; a subgroup's interval that is far wider is cut at the edge."""
    whole = [item.estimate.interval for item in comparisons]
    subgroups = [subgroup.difference for item in comparisons for subgroup in item.subgroups]
    bounds = [bound for item in subgroups for bound in (item.low, item.high) if bound is not None]
    edges = [0.0, *(item.mean for item in [*whole, *subgroups])]
    edges += [bound for item in whole for bound in (item.low, item.high) if bound is not None]
    reach = sorted(map(abs, bounds))
    if reach:
        usual = reach[math.floor(0.85 * (len(reach) - 1))]
        edges += [bound for bound in bounds if abs(bound) <= usual]
    axes[0].set_xlim(*limits(edges))


def _difference_label(study: StudyRecord) -> str:
    better = "right" if study.maximize else "left"
    unit = difference_unit(study)
    return f"difference of {study.objective}{f' in {unit}' if unit else ''} ({better} is better)"


def _draw_line(axis: Any, across: Sequence[float], line: ScoreLine, series: int) -> None:  # noqa: ANN401
    tone = colour(series)
    for x, score in zip(across, line.scores, strict=True):
        if score.low is not None and score.high is not None:
            axis.plot([x, x], [score.low, score.high], color=tone, linewidth=1.6, alpha=0.7)
    means = [score.mean for score in line.scores]
    axis.plot(across, means, color=tone, marker=marker(series), markersize=6, linewidth=1.4, label=line.label)
