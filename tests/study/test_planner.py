from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.sampler import SearchDimension
from bebertlab.pipeline.plan import ComputeSettings
from bebertlab.study.planner import Planner, PointErrors, check_points, planned, recipe_at

if TYPE_CHECKING:
    from tests.study.conftest import Files


def test_a_trial_is_the_recipe_at_a_point_and_seed(files: Files) -> None:
    source = files.read()
    registry = source.plugins.registry
    recipe = recipe_at(source.study, {"members.ensemble": "single", "members.size": 1}, 7, registry)
    assert recipe["seed"] == 7
    assert recipe["stages"]["members"] == {"kind": "fakes", "model": "trunk", "size": 1, "ensemble": "single"}
    recipe = recipe_at(source.study, {"task.size": 9, "task": {"kind": "fake", "size": 8}}, 0, registry)
    assert recipe["task"] == {"kind": "fake", "size": 9}


def test_a_plan_lists_the_stages_that_the_result_needs(files: Files) -> None:
    stages = "stages={trunk: fake, score: {kind: fake, model: trunk}, unused: fake}"
    source = files.read("exclude=[]", "questions=[]", "search={}", stages, "result=score")
    recipe = recipe_at(source.study, {}, 0, source.plugins.registry)
    plan = Planner(source.plugins, ComputeSettings()).plan(recipe)
    trial = planned(plan, recipe)
    assert [(stage.stage, stage.stage_kind) for stage in trial.stages] == [("trunk", "fake"), ("score", "fake")]
    assert trial.result == trial.stages[-1].key
    assert trial.keys == {stage.key for stage in trial.stages}


def test_a_point_with_several_final_stages_needs_a_result(files: Files) -> None:
    stages = "stages={trunk: fake, aside: {kind: fake, model: trunk}, score: {kind: fake, model: trunk}}"
    axis = "search={score.model: {choice: [trunk, aside]}}"
    source = files.read("exclude=[]", "questions=[]", stages, axis, "result=score")
    registry = source.plugins.registry
    assert check_points(source.study, registry) == ()
    only = attrs.evolve(source.study, search={"score.model": SearchDimension(choice=("trunk",))})
    assert check_points(only, registry) == ("aside",)
    no_result = {key: value for key, value in source.study.recipe.items() if key != "result"}
    study = attrs.evolve(source.study, recipe=no_result)
    several = r"there are 2 stages that no other stage reads \(aside, score\)"
    with pytest.raises(UserError, match=rf"\n  score\.model=trunk: {several}.*`$"):
        check_points(study, registry)
    planner = Planner(source.plugins, ComputeSettings())
    assert planner.plan(recipe_at(study, {"score.model": "aside"}, 0, registry)).result.name == "score"
    with pytest.raises(UserError, match=f"^{several}"):
        planner.plan(recipe_at(study, {"score.model": "trunk"}, 0, registry))


def test_a_task_is_loaded_once(files: Files) -> None:
    source = files.read()
    planner = Planner(source.plugins, ComputeSettings())
    recipes = [
        recipe_at(source.study, {"members.ensemble": "bagging", "members.size": size}, 0, source.plugins.registry)
        for size in (1, 2)
    ]
    first, second = map(planner.plan, recipes)
    assert first.task is second.task


def test_points_that_cannot_be_planned_are_named(files: Files) -> None:
    check_points(files.read().study, files.read().plugins.registry)
    files.write(exclude="exclude: []", **{"- {members.ensemble": ""})
    source = files.read()
    with pytest.raises(UserError) as error:
        check_points(source.study, source.plugins.registry)
    assert str(error.value).splitlines() == [
        "these points cannot run; exclude or correct them:",
        "  members.ensemble=single members.size=2: stages.members: single has one member, not 2",
        "  members.ensemble=single members.size=4: stages.members: single has one member, not 4",
    ]


def error_lines(points: int, *errors: tuple[int, str]) -> list[str]:
    """The error for that many points of which some have errors."""
    actual = PointErrors(points)
    actual.raise_all()
    for point, fault in errors:
        actual.note({"p": point}, UserError(fault))
    with pytest.raises(UserError) as error:
        actual.raise_all()
    return str(error.value).splitlines()


def test_long_lists_of_errors_are_shortened() -> None:
    assert error_lines(20, *((index, f"fault {index}") for index in range(12)))[-2:] == [
        "  p=9: fault 9",
        "  ... and 2 more",
    ]


def test_an_error_is_reported_once_at_any_number_of_points() -> None:
    heading = "these points cannot run; exclude or correct them:"
    assert error_lines(4, (0, "a"), (1, "a\nb"), (2, "a\n  goes on")) == [
        heading,
        "  p=0 and 1 more point: a",
        "  p=1: b",
        "  p=2: a goes on",
    ]
    assert error_lines(2, (0, "a\nb"), (1, "a"), (1, "a")) == ["a", heading, "  p=0: b"]
    assert error_lines(1, (0, "a\nb")) == ["a", "b"]


def test_a_setup_error_keeps_its_exit_code() -> None:
    actual = PointErrors(2)
    actual.note({"p": 1}, SetupError("there is no folder x"))
    actual.note({"p": 2}, UserError("wrong"))
    with pytest.raises(UserError) as error:
        actual.raise_all()
    assert error.value.exit_code == SetupError.exit_code
