from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError
from bebertlab.recipe.paths import set_value
from bebertlab.recipe.read import recipe_of

if TYPE_CHECKING:
    from bebertlab.config.document import Document
    from bebertlab.recipe.recipe import Recipe
    from tests.recipe.conftest import Toy


@pytest.fixture
def document(toy: Toy) -> Document:
    """The toy recipe with settings for its task, which has no name and so goes by its kind, and for another one."""
    presets = {
        "toy": {"train.batch_size": 7, "teacher.train.epochs": 9, "task.size": 6},
        "other": {"train.batch_size": 3},
    }
    return toy.document().set(("per_task",), presets, "toy.yaml")


def epochs(recipe: Recipe, stage: str) -> int:
    return int(recipe.stages[stage].train.epochs)  # type: ignore[union-attr]


def test_the_entry_of_the_task_is_laid_over_the_recipe(toy: Toy, document: Document) -> None:
    recipe = recipe_of(document, toy.codec)
    assert (recipe.train.batch_size, epochs(recipe, "teacher"), recipe.task.size) == (7, 9, 6)  # type: ignore[attr-defined]
    assert recipe.stages["student"].train.batch_size == 7  # type: ignore[union-attr]


@pytest.mark.parametrize("path", ["train.batch_size", "teacher.train.epochs", "stages.teacher.train.epochs"])
def test_what_is_set_from_outside_wins(toy: Toy, document: Document, path: str) -> None:
    recipe = recipe_of(set_value(document, path, 5, "--set", toy.registry), toy.codec)
    found = (recipe.train.batch_size, epochs(recipe, "teacher"))
    assert found == ((5, 9) if path == "train.batch_size" else (7, 5))


def test_a_whole_value_from_outside_wins_over_its_parts(toy: Toy, document: Document) -> None:
    recipe = recipe_of(set_value(document, "teacher.train", {"epochs": 4}, "--set", toy.registry), toy.codec)
    assert epochs(recipe, "teacher") == 4


def test_another_kind_takes_the_settings_of_the_old_one_along(toy: Toy, document: Document) -> None:
    changed = set_value(document, "task.kind", "toy", "--set", toy.registry)
    assert recipe_of(changed, toy.codec).task.size == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("presets", "fault"),
    [
        (
            {"other": {"train.epoch": 3}},
            "per_task.other.train.epoch: train has no option 'epoch'; did you mean",
        ),
        ({"other": {"train.epochs": "six"}}, "per_task.other.train.epochs: must be a whole number, is 'six'"),
        ({"other": 3}, "per_task.other: must be a mapping of paths to values"),
        ([], "per_task: must be a mapping of task names to settings"),
    ],
)
def test_faults_of_every_entry_are_told_with_their_place(toy: Toy, presets: object, fault: str) -> None:
    document = toy.document().set(("per_task",), presets, "toy.yaml")
    with pytest.raises(UserError) as caught:
        recipe_of(document, toy.codec)
    assert fault in str(caught.value)
