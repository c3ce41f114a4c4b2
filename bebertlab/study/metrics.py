"""Checks that the result of a recipe will have a metric, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable

from bebertlab.artifacts.outputs import evaluated_splits
from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.metric_names import (
    COST_SECONDS,
    SCORE,
    SELECT_SCORE,
    VALIDATION_SCORE,
    MetricInfo,
    metric_info,
    split_metric,
    stage_seconds,
)
from bebertlab.interfaces.stage import StageOptions
from bebertlab.interfaces.task import SELECT, VALIDATION, Task
from bebertlab.pipeline.graph import result_of
from bebertlab.pipeline.plan import Plan
from bebertlab.pipeline.recipe import Recipe


def check_metric(metric: str, plan: Plan, *, place: str = "objective") -> None:
    """Check that the result of a plan will have a metric, where its stage says which it writes.

    `place` is the key of the study that names the metric.

    Raises:
        UserError: it will not.
    """
    stage = plan.result.stage
    names_of_result = stage.result_names()
    if names_of_result is None:
        return
    splits = evaluated_splits(plan.task) if stage.scores_splits else ()
    others = (*names_of_result, *_cost_names(plan.recipe))
    if metric in {*others, *(split_metric(split, SCORE) for split in splits)}:
        return  # without the seconds that it takes to import what computes metrics
    names = [split_metric(split, name) for split in splits for name in _task_names(plan.task)]
    _refuse_unknown(metric, [*names, *others], f" with the task {plan.task.name}", place=place)


def check_family(metric: str, recipe: Recipe, *, place: str = "objective") -> None:
    """Check that a metric is of a kind that the result of a recipe may have; no data are loaded.

    `place` is the key of the study that names the metric.

    Which metrics a task has besides `score` is known when it is loaded: until then any name of a split's may be one.

    Raises:
        UserError: no task can have it, or the recipe has several ends and names none as its result.
    """
    stage = recipe.stages.get(result_of(recipe))
    if not isinstance(stage, StageOptions) or stage.metric_names is None:
        return
    split = metric.partition("/")[0]
    of_split = split in (SELECT, VALIDATION) or split.startswith(f"{VALIDATION}_")
    if stage.scores_splits and of_split and metric != split:
        return
    scores = [VALIDATION_SCORE, SELECT_SCORE] if stage.scores_splits else []
    more = "; other metrics of a task: validation/<name>" if stage.scores_splits else ""
    _refuse_unknown(metric, [*scores, *stage.metric_names, *_cost_names(recipe)], "", more, place=place)


def check_goal(metric: str, goal: str, task_metrics: Iterable[MetricInfo] = (), *, listed: bool = False) -> None:
    """Check that a study searches in the direction in which its metric is better, where one is known.

    `listed`: the metric is one of `objectives`, not that of `objective`.

    Raises:
        UserError: it searches in the other direction.
    """
    better = metric_info(metric, task_metrics).maximize
    if better is None or better is (goal == "maximize"):
        return
    direction, expected = ("higher", "maximize") if better else ("lower", "minimize")
    place = f"objectives.{metric}" if listed else "objective.goal"
    expected = expected[:3] if listed else expected
    raise UserError(f"{place}: {direction} values of {metric} are better; expected {expected}")


def _refuse_unknown(metric: str, known: Iterable[str], where: str, more: str = "", *, place: str) -> None:
    names = set(known)
    if metric not in names:
        what = f"the result has no metric '{metric}'{where}; {suggestion(metric, names)}{more}"
        raise UserError(f"{place}: {what}")


def _cost_names(recipe: Recipe) -> tuple[str, ...]:
    return (COST_SECONDS, *(stage_seconds(stage) for stage in recipe.stages))


def _task_names(task: Task) -> tuple[str, ...]:
    return (SCORE, *(metric.name for metric in task.metrics))
