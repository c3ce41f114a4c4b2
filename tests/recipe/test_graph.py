from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError
from bebertlab.recipe.graph import RECIPE_KEYS, RESERVED, STUDY_KEYS, expand
from bebertlab.recipe.read import recipe_of

if TYPE_CHECKING:
    from tests.recipe.conftest import Toy


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


def test_a_group_that_cannot_be_is_an_error(toy: Toy) -> None:
    stages = recipe_of(toy.document(), toy.codec).stages
    huge = recipe_of(toy.document(toy.text.replace("{kind: team,", "{kind: team, size: 9,")), toy.codec).stages
    assert len(expand(huge).stages) == len(expand(stages).stages) + 7
    with pytest.raises(UserError, match="at most 9"):
        recipe_of(toy.document(toy.text.replace("{kind: team,", "{kind: team, size: 10,")), toy.codec)


def test_every_key_of_recipes_and_studies_is_reserved() -> None:
    assert {*RECIPE_KEYS, *STUDY_KEYS} <= RESERVED
