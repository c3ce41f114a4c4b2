"""Learning curves: training loss and select score by optimizer step, one figure for each kind of training stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.errors import UserError
from bebertlab.interfaces.events import StageResult, StudyRecord, TrialRecord
from bebertlab.interfaces.metric_names import SELECT_SCORE
from bebertlab.interfaces.values import identity
from bebertlab.report.labels import count, short_names, value_label
from bebertlab.report.plots import canvas, colour, hue_axis, svg
from bebertlab.report.points import finished_stages
from bebertlab.store.store import Store
from bebertlab.training.curve import LearningCurve, read_learning_curve

_MOST_STEPS = 200  #: at which curves are averaged
_FEW_STEPS = 30  #: up to so many have markers
_MOST_STAGES = 6  #: rows of a figure
_ROW_INCHES = 1.9


Points = tuple[tuple[float, float], ...]
"""(step, value) pairs, steps rising."""


@frozen(kw_only=True, eq=False)
class Curve:
    """The values that a training stage recorded."""

    losses: Points = ()
    scores: Points = ()  #: on the select split


ReadCurve = Callable[[StageResult], Curve | None]
"""The learning curve of a stage, by its key; None for a stage that does not train or is no longer stored."""


def stored_curves(work: Path) -> ReadCurve:
    """Reads the curves of stages from the store of a work folder."""
    store = Store(work / "store")

    def read(stage: StageResult) -> Curve | None:
        try:
            recorded = read_learning_curve(store.folder(stage.key))
        except UserError:  # damaged or of another version: a report is complete without it
            return None
        return None if recorded is None else curve_of(recorded)

    return read


def curve_of(recorded: LearningCurve) -> Curve:
    """The losses and scores of all phases; evaluations that measured a loss are left out."""
    losses = [(point.step, point.loss) for phase in recorded.phases for point in phase.training]
    scores = [
        (point.step, point.value)
        for phase in recorded.phases
        if phase.measure == "score"
        for point in phase.evaluations
    ]
    return Curve(losses=_finite(losses), scores=_finite(scores))


def _finite(points: Sequence[tuple[float, float]]) -> Points:
    return tuple(point for point in points if math.isfinite(point[1]))


@frozen(kw_only=True, eq=False)
class StageCurve:
    """The curve of one artifact."""

    label: str  #: the value of the searched option that colours show; empty where the stage does not depend on it
    stage: str  #: name, or that of the group of members
    curve: Curve


@frozen(kw_only=True, eq=False)
class CurveGroup:
    """The curves of one kind of stage."""

    kind: str
    option: str  #: short name of the option that colours show
    curves: tuple[StageCurve, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of stages, as many as a figure has rows, in the order of the plan."""
        return tuple(dict.fromkeys(curve.stage for curve in self.curves))[:_MOST_STAGES]

    @property
    def caption(self) -> str:
        """The content of the figure, and the number of curves that it summarizes."""
        left_out = len({curve.stage for curve in self.curves}) - len(self.stages)
        more = f" {count(left_out, 'further stage')} not shown." if left_out else ""
        return f"Stages of kind {self.kind}: means and ranges of {count(len(self.curves), 'training')}.{more}"


def group_curves(study: StudyRecord, trials: Sequence[TrialRecord], read: ReadCurve | None) -> tuple[CurveGroup, ...]:
    """The curves of all finished stages by kind; each artifact is read once."""
    if read is None:
        return ()
    hue = hue_axis(study)
    owners = _owners(trials)
    groups: dict[str, list[StageCurve]] = {}
    for stage, users in owners:
        curve = read(stage)
        if curve is not None and (curve.losses or curve.scores):
            label = _label(hue, users)
            groups.setdefault(stage.stage_kind, []).append(
                StageCurve(label=label, stage=stage.stage.split(".")[0], curve=curve)
            )
    option = short_names(study.axes).get(hue, "")
    return tuple(CurveGroup(kind=kind, option=option, curves=tuple(curves)) for kind, curves in groups.items())


def _owners(trials: Sequence[TrialRecord]) -> list[tuple[StageResult, list[TrialRecord]]]:
    """Each artifact once, as the first trial names its stage, with the trials that use it."""
    owners: dict[str, tuple[StageResult, list[TrialRecord]]] = {}
    for trial in trials:
        for stage in finished_stages(trial):
            owners.setdefault(stage.key, (stage, []))[1].append(trial)
    return list(owners.values())


def _label(hue: str, users: Sequence[TrialRecord]) -> str:
    """The value of an option that all users of an artifact have in common; empty where they differ in it."""
    values = {identity(trial.parameters[hue]): trial.parameters[hue] for trial in users if hue in trial.parameters}
    return value_label(next(iter(values.values()))) if len(values) == 1 else ""


def curves_plot(group: CurveGroup, name: str) -> str:
    """A row for each stage: the training loss at the left, the select score at the right."""
    stages = group.stages
    labels = list(dict.fromkeys(curve.label for curve in group.curves))
    with canvas(7.6, 0.7 + _ROW_INCHES * len(stages), columns=2, rows=len(stages), share_x="row", share_y=False) as (
        figure,
        axes,
    ):
        for row, stage in enumerate(stages):
            loss_axis, score_axis = axes[2 * row : 2 * row + 2]
            curves = [curve for curve in group.curves if curve.stage == stage]
            for series, label in enumerate(labels):
                of_label = [curve.curve for curve in curves if curve.label == label]
                _band(loss_axis, [curve.losses for curve in of_label], series, label)
                _band(score_axis, [curve.scores for curve in of_label], series, label)
            loss_axis.set_title(f"{stage}: training loss", loc="left")
            score_axis.set_title(SELECT_SCORE, loc="left")
        for axis in axes:
            axis.xaxis.get_major_locator().set_params(integer=True)
        for axis in axes[-2:]:
            axis.set_xlabel("optimizer step")
        if any(labels):
            lines = {line.get_label(): line for axis in axes for line in axis.lines}
            axes[1].legend(handles=[*lines.values()], title=group.option, loc="upper left", bbox_to_anchor=(1.01, 1.0))
        figure.subplots_adjust(hspace=0.55, wspace=0.2)
        return svg(figure, name)


def _band(axis: Any, curves: Sequence[Points], series: int, label: str) -> None:  # noqa: ANN401
    """The mean of some curves, and the range of all where there are several."""
    curves = [curve for curve in curves if curve]
    if not curves:
        return
    steps = _steps(curves)
    values = np.array([_at(curve, steps) for curve in curves])
    known = ~np.isnan(values).all(axis=0)
    steps, values = steps[known], values[:, known]
    if len(curves) > 1:
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        axis.fill_between(steps, low, high, color=colour(series), alpha=0.15, linewidth=0)
    marker = "o" if len(steps) <= _FEW_STEPS else ""
    axis.plot(
        steps,
        np.nanmean(values, axis=0),
        color=colour(series),
        linewidth=1.5,
        label=label or "all",
        marker=marker,
        markersize=3.5,
    )


def _steps(curves: Sequence[Points]) -> NDArray[np.float64]:
    """Where curves are averaged: at all their steps, or at evenly spaced ones where there are too many."""
    steps = np.unique([step for curve in curves for step, _ in curve])
    return steps if len(steps) <= _MOST_STEPS else np.linspace(steps[0], steps[-1], _MOST_STEPS)


def _at(curve: Points, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """A curve at some steps by linear interpolation; NaN outside of its range."""
    known_steps, values = zip(*curve, strict=True)
    interpolated: NDArray[np.float64] = np.interp(steps, known_steps, values, left=np.nan, right=np.nan)
    return interpolated
