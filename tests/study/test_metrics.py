"""Metrics that no result will have, detected before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError
from bebertlab.interfaces.metric_names import MetricInfo
from bebertlab.study.context import StudyContext
from bebertlab.study.metrics import check_goal
from bebertlab.study.planner import check_points

if TYPE_CHECKING:
    from tests.study.conftest import Files

EVALUATED = """\
name: x
plugins: [parts.py]
recipe:
  task: fake
  encoder: fake
  stages: {trunk: fake, score: {kind: evaluate, of: trunk}}
search: {trunk.size: {choice: [1, 2]}}
"""
DRAWN = ("sampler.kind=random", "sampler.trials=2")


def check(files: Files, metric: str, *sets: str, data: bool, goal: str | None = None, text: str = EVALUATED) -> None:
    """Check a study whose result is that of the stage `evaluate`."""
    files.path.write_text(text)
    goal = goal or ("minimize" if metric.startswith(("cost/", "size/")) else "maximize")
    source = files.read(f"objective.metric={metric}", f"objective.goal={goal}", *sets)
    context = StudyContext(source, Path("work"))
    if not data:
        check_points(source.study, source.plugins.registry)
    elif sets:
        context.check_drawn(context.records())
    else:
        context.check_plans(context.records())


@pytest.mark.parametrize("sets", [(), DRAWN])
@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize(
    "metric",
    [
        *("validation/score", "validation/accuracy", "select/accuracy", "size/matrix_mebibytes", "cost/gigaflops"),
        *("cost/seconds", "cost/trunk_seconds", "members/kept"),
    ],
)
def test_a_metric_of_the_result_is_accepted(files: Files, metric: str, data: bool, sets: tuple[str, ...]) -> None:
    check(files, metric, *sets, data=data)


@pytest.mark.parametrize("sets", [(), DRAWN])
@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize("metric", ["foo", "validaton/score", "validation", "size/matrx_mebibytes", "cost/x_seconds"])
def test_an_unknown_metric_family_is_refused_without_data(
    files: Files, metric: str, data: bool, sets: tuple[str, ...]
) -> None:
    with pytest.raises(UserError, match=rf"^objective: the result has no metric '{metric}'"):
        check(files, metric, *sets, data=data)


@pytest.mark.parametrize("sets", [(), DRAWN])
def test_metrics_of_a_task_are_checked_when_it_is_loaded(files: Files, sets: tuple[str, ...]) -> None:
    check(files, "validation/scor", *sets, data=False)
    expected = r"no metric 'validation/scor' with the task fake/4; did you mean 'validation/score'\? \(known: cost/giga"
    with pytest.raises(UserError, match=expected):
        check(files, "validation/scor", *sets, data=True)


@pytest.mark.parametrize("metric", ["size/packed_mebibytes", "cost/sentence_milliseconds"])
def test_what_is_not_measured_is_no_objective(files: Files, metric: str) -> None:
    check(files, metric, data=False)  # whether it is measured is known when the recipe is planned
    with pytest.raises(UserError, match=f"objective: the result has no metric '{metric}'"):
        check(files, metric, data=True)
    measured = "packed: {kind: pack, of: trunk}, score: {kind: evaluate, of: packed, measure: latency}"
    check(files, metric, data=True, text=EVALUATED.replace("score: {kind: evaluate, of: trunk}", measured))


def test_a_plugin_stage_may_have_any_metric(files: Files) -> None:
    source = files.read("objective.metric=number")
    context = StudyContext(source, Path("work"))
    check_points(source.study, source.plugins.registry)
    context.check_plans(context.records())


@pytest.mark.parametrize(
    ("metric", "goal", "expected"),
    [
        ("size/total_mebibytes", "maximize", "lower values of size/total_mebibytes are better; expected minimize"),
        ("validation/score", "minimize", "higher values of validation/score are better; expected maximize"),
    ],
)
def test_a_goal_in_the_wrong_direction_is_refused(files: Files, metric: str, goal: str, expected: str) -> None:
    with pytest.raises(UserError, match=f"objective.goal: {expected}"):
        check(files, metric, data=True, goal=goal)


def check_several(files: Files, objectives: str, *, data: bool) -> None:
    files.path.write_text(EVALUATED)
    source = files.read(f"objectives={objectives}")
    if data:
        context = StudyContext(source, Path("work"))
        context.check_plans(context.records())
    else:
        check_points(source.study, source.plugins.registry)


@pytest.mark.parametrize("data", [False, True])
def test_an_unknown_metric_of_several_objectives_is_looked_for_there(files: Files, data: bool) -> None:
    with pytest.raises(UserError, match=r"^objectives: the result has no metric 'foo'"):
        check_several(files, "{validation/score: max, foo: max}", data=data)


def test_a_wrong_direction_of_several_objectives_is_named_with_its_metric(files: Files) -> None:
    check_several(files, "{validation/score: max, size/total_mebibytes: min}", data=True)
    what = r"^objectives\.size/total_mebibytes: lower values of size/total_mebibytes are better; expected min$"
    with pytest.raises(UserError, match=what):
        check_several(files, "{validation/score: max, size/total_mebibytes: max}", data=True)
    with pytest.raises(UserError, match=r"^objectives\.validation/score: higher .* are better; expected max$"):
        check_several(files, "{validation/score: min}", data=True)


def test_the_direction_of_a_metric_is_that_of_its_task() -> None:
    check_goal("validation/distance", "maximize")  # unknown: higher is better
    distance = (MetricInfo(name="distance", maximize=False),)
    check_goal("validation/distance", "minimize", distance)
    with pytest.raises(UserError, match="lower values of validation/distance are better"):
        check_goal("validation/distance", "maximize", distance)
    for goal in ("maximize", "minimize"):
        check_goal("members/kept", goal)
