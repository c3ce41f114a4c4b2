from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs
import pytest
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.pipeline.graph import RECIPE_KEYS, RESERVED, STUDY_KEYS, expand, result_of
from bebertlab.pipeline.read import recipe_of
from bebertlab.pipeline.recipe import Recipe
from bebertlab.study.study import Study

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy


def test_groups_are_replaced_by_their_stages(toy: Toy) -> None:
    graph = expand(recipe_of(toy.document(), toy.codec).stages)
    assert list(graph.stages) == ["teacher", "student", "team.0", "team.1", "score"]
    assert graph.groups == {"team": ("team.0", "team.1")}
    assert graph.members("team") == ("team.0", "team.1")
    assert graph.members("student") == ("student",)
    assert (graph.top("team.1"), graph.top("student")) == ("team", "student")
    assert graph.inputs("score") == ("team.0", "team.1")
    assert graph.inputs("team.1") == ("team.0",)
    assert graph.inputs("student") == ("teacher",)


ENDS = [
    ({}, ["score"]),
    ({"score: {kind: count, of: team}": "aside: {kind: make}"}, ["team.0", "team.1", "aside"]),
    ({"of: team": "of: team.1"}, ["score"]),
    ({"of: team": "of: team.0"}, ["team.1", "score"]),
    ({"of: team": "of: [student]"}, ["team.0", "team.1", "score"]),
    ({"model: student}": "model: teacher}"}, ["student", "score"]),
]


@pytest.mark.parametrize(("replaced", "ends"), ENDS)
def test_final_stages_are_those_that_no_other_stage_reads(toy: Toy, replaced: dict[str, str], ends: list[str]) -> None:
    text = toy.text
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    recipe = recipe_of(toy.document(text), toy.codec)
    assert list(expand(recipe.stages).ends()) == ends
    if len(ends) == 1:
        assert recipe.result == result_of(recipe) == ends[0]
        return
    assert recipe.result is None
    expected = f"there are {len(ends)} stages that no other stage reads ({', '.join(ends)}); name the one whose"
    with pytest.raises(UserError, match=re.escape(expected)):
        result_of(recipe)
    assert result_of(evolve(recipe, result=ends[0])) == ends[0]


LISTS = [
    ("[team, student]", None, ("team.0", "team.1", "student")),
    ("[team.1, teacher]", None, ("team.1", "teacher")),
    ("team.1", None, ("team.1",)),
    ("[]", "toy.yaml:17:28: stages.score.of: must name at least one stage", ()),
    ("[team, studnt]", "toy.yaml:17:35: stages.score.of.1: there is no stage 'studnt'; did you mean 'student'?", ()),
    ("[team, team.1]", "toy.yaml:17:35: stages.score.of.1: stage 'team.1' is named twice, first by 'team'", ()),
    ("[student, student]", "toy.yaml:17:38: stages.score.of.1: stage 'student' is named twice", ()),
    ("[student, 3]", "toy.yaml:17:28: stages.score.of: expected text or a list, each item text, got a list", ()),
    ("{a: student}", "toy.yaml:17:28: stages.score.of: expected text or a list, each item text, got a mapping", ()),
]


@pytest.mark.parametrize(("value", "error", "inputs"), LISTS)
def test_a_list_of_inputs_names_stages_and_groups(
    toy: Toy, value: str, error: str | None, inputs: tuple[str, ...]
) -> None:
    document = toy.document(toy.text.replace("of: team}", f"of: {value}}}"))
    if error is None:
        assert expand(recipe_of(document, toy.codec).stages).inputs("score") == inputs
        return
    with pytest.raises(UserError) as caught:
        recipe_of(document, toy.codec)
    assert str(caught.value).startswith(error)


def test_only_a_field_for_many_takes_a_list(toy: Toy) -> None:
    with pytest.raises(UserError, match=r"stages\.student\.model: expected text, got a list"):
        recipe_of(toy.document(toy.text.replace("model: teacher\n", "model: [teacher]\n")), toy.codec)


def test_unknown_inputs_are_named_as_in_the_recipe(toy: Toy) -> None:
    graph = expand(recipe_of(toy.document(), toy.codec).stages)
    assert graph.needed("student") == {"teacher", "student"}
    assert graph.needed("team.0", "teacher") == {"teacher", "student", "team"}


def test_an_invalid_group_is_an_error(toy: Toy) -> None:
    stages = recipe_of(toy.document(), toy.codec).stages
    huge = recipe_of(toy.document(toy.text.replace("{kind: team,", "{kind: team, size: 9,")), toy.codec).stages
    assert len(expand(huge).stages) == len(expand(stages).stages) + 7
    with pytest.raises(UserError, match="at most 9"):
        recipe_of(toy.document(toy.text.replace("{kind: team,", "{kind: team, size: 10,")), toy.codec)


def test_every_key_of_recipes_and_studies_is_reserved() -> None:
    assert set(STUDY_KEYS) == {*attrs.fields_dict(Study), "set", "smoke"}
    assert set(RECIPE_KEYS) == {*attrs.fields_dict(Recipe), "extends", "per_task"}
    assert {*RECIPE_KEYS, *STUDY_KEYS, "kind"} == RESERVED
