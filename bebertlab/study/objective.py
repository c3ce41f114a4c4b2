"""Whether a trial will have the metric that trials are compared by: known before anything is trained, or not at all."""

from __future__ import annotations

from collections.abc import Iterable

from bebertlab.artifacts.metrics import MATRIX, OPERATIONS, STORED, TOTAL
from bebertlab.artifacts.model import evaluated_splits
from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.task import SELECT, VALIDATION, Task
from bebertlab.pipeline.graph import result_of
from bebertlab.pipeline.plan import Plan
from bebertlab.pipeline.recipe import Recipe
from bebertlab.stages.evaluate import EvaluateStage

_FIXED = ("members/count", "members/kept", MATRIX, TOTAL, STORED, OPERATIONS, "cost/seconds")


def check_metric(metric: str, plan: Plan) -> None:
    """Check that the result of a plan will have a metric, where its names are known.

    They are known of the stage `evaluate`; a stage of a plugin may write what it likes.

    Raises:
        UserError: it will not.
    """
    if type(plan.result.stage) is not EvaluateStage:
        return
    splits = evaluated_splits(plan.task)
    if metric in {*_other_names(plan.recipe), *(f"{split}/score" for split in splits)}:
        return  # without the seconds that it takes to import what computes metrics
    names = [f"{split}/{name}" for split in splits for name in _task_names(plan.task)]
    _refuse_unknown(metric, [*names, *_other_names(plan.recipe)], f" with the task {plan.task.name}")


def check_family(metric: str, recipe: Recipe) -> None:
    """Check that a metric is of a kind that the result of a recipe may have; no data are loaded.

    Which metrics a task has beside `score` is known when it is loaded: any name of a split's may be right.

    Raises:
        UserError: no task can have it, or the recipe has several ends and names none as its result.
    """
    split = metric.partition("/")[0]
    of_split = split in (SELECT, VALIDATION) or split.startswith(f"{VALIDATION}_")
    if type(recipe.stages.get(result_of(recipe))) is EvaluateStage and not (of_split and metric != split):
        scores = [f"{name}/score" for name in (VALIDATION, SELECT)]
        _refuse_unknown(metric, [*scores, *_other_names(recipe)], "", "; other metrics of a task: validation/<name>")


def _refuse_unknown(metric: str, known: Iterable[str], where: str, more: str = "") -> None:
    names = set(known)
    if metric not in names:
        what = f"the result has no metric '{metric}'{where}; {suggestion(metric, names)}{more}"
        raise UserError(f"objective.metric: {what}")


def _other_names(recipe: Recipe) -> tuple[str, ...]:
    return (*_FIXED, *(f"cost/{stage}_seconds" for stage in recipe.stages))


def _task_names(task: Task) -> tuple[str, ...]:
    labels = task.splits[VALIDATION].labels
    return ("score", *task.metrics(labels, labels))
