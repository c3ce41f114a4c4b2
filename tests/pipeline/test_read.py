from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bebertlab.config.document import YamlDocument
from bebertlab.errors import UserError
from bebertlab.pipeline.read import extended, read_recipe, recipe_of
from bebertlab.pipeline.recipe import Recipe

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy

    With = Callable[[str, str], Toy]
from typing import TYPE_CHECKING

from bebertlab.pipeline.paths import set_value

if TYPE_CHECKING:
    from bebertlab.config.document import YamlDocument
    from bebertlab.pipeline.recipe import Recipe
    from tests.pipeline.conftest import Toy


def read(toy: Toy) -> Recipe:
    return recipe_of(toy.document(), toy.codec)


def stage(recipe: Recipe, name: str) -> Any:  # noqa: ANN401 - stages of many kinds
    return recipe.stages[name]


def errors_of(toy: Toy) -> str:
    with pytest.raises(UserError) as caught:
        read(toy)
    return str(caught.value)


def test_a_recipe_is_read_completely(toy: Toy) -> None:
    recipe = read(toy)
    assert (recipe.seed, recipe.description, recipe.result) == (3, "a toy", "score")
    assert list(recipe.stages) == ["teacher", "student", "team", "score"]
    assert recipe.task.kind == "toy"
    assert stage(recipe, "student").scheme.bits == 1


def test_train_sets_defaults_that_a_stage_can_override(toy: Toy) -> None:
    recipe = read(toy)
    assert (stage(recipe, "teacher").train.epochs, stage(recipe, "teacher").train.learning_rate) == (5, 1e-3)
    assert (stage(recipe, "student").train.epochs, stage(recipe, "student").train.learning_rate) == (2, 1e-3)


def test_a_bare_stage_gets_the_defaults_of_train(toy_with: With) -> None:
    assert stage(read(toy_with("teacher: {kind: make}", "teacher: make")), "teacher").train.epochs == 5


def test_the_result_is_the_only_final_stage_unless_named(toy_with: With) -> None:
    assert read(toy_with("seed: 3", "result: null")).result == "score"
    assert read(toy_with("of: team}", "of: teacher}")).result is None
    assert read(toy_with("seed: 3", "result: student")).result == "student"
    assert read(toy_with("seed: 3", "result: team.0")).result == "team.0"


def test_an_error_in_train_is_reported_once(toy_with: With) -> None:
    assert errors_of(toy_with("epochs: 5", "epochs: 0")) == "toy.yaml:6:17: train.epochs: must be >= 1, got 0"


def test_an_error_in_the_train_of_a_stage_is_reported_there(toy_with: With) -> None:
    assert errors_of(toy_with("epochs: 2", "epochs: x")).startswith(
        "toy.yaml:15:21: stages.student.train.epochs: expected"
    )


BROKEN = """\
schema_version: 2
task: {kind: toi}
encoder: {kind: toy, tekst: a}
sead: 3
stages:
  teacher: {kind: make, seed: 1.5}
  student: {kind: change, model: techer, teacher: 3, scheme: {kind: low, bits: many}}
  team: {kind: team, size: 20, model: student}
  odd: {kind: chang}
  task: {kind: make}
  a.b: {kind: make}
  score: {kind: count, of: tam}
result: skore
"""


def test_a_study_in_place_of_a_recipe_is_one_error(toy: Toy) -> None:
    with pytest.raises(UserError) as caught:
        recipe_of(toy.document("schema_version: 1\nname: x\nrecipe: toy.yaml\nseeds: [0]\n"), toy.codec)
    assert str(caught.value) == "toy.yaml:1:1: expected a recipe, got a study; use the commands of `bebertlab study`"


def test_all_errors_are_reported_at_once(toy: Toy) -> None:
    with pytest.raises(UserError) as caught:
        recipe_of(toy.document(BROKEN), toy.codec)
    actual = str(caught.value).splitlines()
    assert [line.split(" ", 1)[0] for line in actual] == [
        "toy.yaml:1:17:",
        "toy.yaml:2:14:",
        "toy.yaml:3:22:",
        "toy.yaml:4:1:",
        "toy.yaml:6:31:",
        "toy.yaml:7:34:",
        "toy.yaml:7:51:",
        "toy.yaml:7:80:",
        "toy.yaml:8:9:",
        "toy.yaml:9:15:",
        "toy.yaml:10:3:",
        "toy.yaml:11:3:",
        "toy.yaml:12:28:",
        "toy.yaml:13:9:",
    ]
    text = str(caught.value)
    assert "sead: unknown key of a recipe; did you mean 'seed'?" in text
    assert "stages.student.model: there is no stage 'techer'; did you mean 'teacher'?" in text
    assert "stages.team: a team has at most 9 members" in text
    assert "a stage cannot be called 'task'" in text
    assert "nor have a dot" in text
    assert "stages.score.of: there is no stage 'tam'; did you mean 'team'?" in text
    assert "result: there is no stage 'skore'; did you mean 'score'?" in text


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("task: {kind: toy}\n", "", "toy.yaml:1:1: task is missing"),
        (
            "model: teacher",
            "model: team",
            "stages.student.model: 'team' is a group of stages; name one of team.0, team.1",
        ),
        ("seed: 3", "result: team", "toy.yaml:5:9: result: 'team' is a group of stages"),
        ("seed: 3", "extends: 3", "extends: can only stand in a file"),
        ("model: teacher", "model: score", "the stages form a cycle: "),
    ],
)
def test_errors_of_a_recipe_are_reported(toy_with: With, old: str, new: str, error: str) -> None:
    assert error in errors_of(toy_with(old, new))


def test_a_cycle_is_shown_by_the_names_of_the_recipe(toy_with: With) -> None:
    cycle = errors_of(toy_with("model: teacher", "model: score")).rpartition("cycle: ")[2]
    assert sorted(set(cycle.split(" -> "))) == ["score", "student", "team"]
    assert cycle.split(" -> ")[0] == cycle.split(" -> ")[-1]


@pytest.mark.parametrize(("text", "error"), [("- a", "a recipe is a mapping"), ("", "a recipe is a mapping")])
def test_a_recipe_must_be_a_mapping(toy: Toy, text: str, error: str) -> None:
    with pytest.raises(UserError, match=error):
        recipe_of(toy.document(text), toy.codec)


@pytest.mark.parametrize("stages", ["stages: {}", "stages:", "stages: [a]", "description: nothing"])
def test_a_recipe_needs_stages(toy: Toy, stages: str) -> None:
    with pytest.raises(UserError, match="stages"):
        recipe_of(toy.document(f"task: toy\nencoder: toy\n{stages}"), toy.codec)


def test_extends_merges_a_file_into_another(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(toy.text)
    path = tmp_path / "over.yaml"
    path.write_text("extends: base.yaml\nseed: 4\ntrain: {epochs: 7}\nstages:\n  extra: {kind: count, of: student}\n")
    recipe = recipe_of(read_recipe(path), toy.codec)
    assert (recipe.seed, list(recipe.stages)) == (4, ["teacher", "student", "team", "score", "extra"])
    assert (stage(recipe, "teacher").train.epochs, stage(recipe, "teacher").train.learning_rate) == (7, 1e-3)


def test_errors_name_the_file_that_contains_them(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(toy.text.replace("seed: 3", "seed: x"))
    path = tmp_path / "over.yaml"
    path.write_text("extends: base.yaml\ndescription: 3\n")
    with pytest.raises(UserError) as caught:
        recipe_of(read_recipe(path), toy.codec)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert any(line.startswith(f"{path}:2:14: description") for line in lines)
    assert any(line.startswith(f"{tmp_path / 'base.yaml'}:5:7: seed") for line in lines)


def test_extends_cannot_be_nested(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(toy.text)
    (tmp_path / "b.yaml").write_text("extends: a.yaml")
    (tmp_path / "c.yaml").write_text("extends: b.yaml")
    with pytest.raises(UserError, match=r"c\.yaml:1:10: extends: b\.yaml extends a\.yaml"):
        read_recipe(tmp_path / "c.yaml")


def test_extends_must_be_a_path() -> None:
    with pytest.raises(UserError, match="extends: must be the path of a recipe, got 3"):
        extended(YamlDocument.of({"extends": 3}, "x"))


def test_extends_may_begin_with_the_home_folder(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "base.yaml").write_text(toy.text)
    path = tmp_path / "sub" / "over.yaml"
    path.parent.mkdir()
    path.write_text("extends: ~/base.yaml\nseed: 4\n")
    assert recipe_of(read_recipe(path), toy.codec).seed == 4


def test_a_merged_default_keeps_its_position(toy_with: With) -> None:
    """An error of a default in a stage is reported at the line of the default."""
    assert "toy.yaml:6" in errors_of(toy_with("epochs: 5", "epoks: 5"))


@pytest.fixture
def document(toy: Toy) -> YamlDocument:
    """The toy recipe with settings for its task, which is named by its kind, and for another one."""
    presets = {
        "toy": {"train.batch_size": 7, "teacher.train.epochs": 9, "task.size": 6},
        "other": {"train.batch_size": 3},
    }
    return toy.document().set(("per_task",), presets, "toy.yaml")


def epochs(recipe: Recipe, stage: str) -> int:
    return int(recipe.stages[stage].train.epochs)  # type: ignore[union-attr]


def test_the_entry_of_the_task_is_merged_into_the_recipe(toy: Toy, document: YamlDocument) -> None:
    recipe = recipe_of(document, toy.codec)
    assert (recipe.train.batch_size, epochs(recipe, "teacher"), recipe.task.size) == (7, 9, 6)  # type: ignore[attr-defined]
    assert recipe.stages["student"].train.batch_size == 7  # type: ignore[union-attr]


@pytest.mark.parametrize("path", ["train.batch_size", "teacher.train.epochs", "stages.teacher.train.epochs"])
def test_overrides_win(toy: Toy, document: YamlDocument, path: str) -> None:
    recipe = recipe_of(set_value(document, path, 5, "--set", toy.registry), toy.codec)
    actual = (recipe.train.batch_size, epochs(recipe, "teacher"))
    assert actual == ((5, 9) if path == "train.batch_size" else (7, 5))


def test_an_override_of_a_whole_value_wins_over_its_parts(toy: Toy, document: YamlDocument) -> None:
    recipe = recipe_of(set_value(document, "teacher.train", {"epochs": 4}, "--set", toy.registry), toy.codec)
    assert epochs(recipe, "teacher") == 4


def test_another_kind_inherits_the_settings_of_the_previous_one(toy: Toy, document: YamlDocument) -> None:
    changed = set_value(document, "task.kind", "toy", "--set", toy.registry)
    assert recipe_of(changed, toy.codec).task.size == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("presets", "error"),
    [
        (
            {"other": {"train.epoch": 3}},
            "per_task.other.train.epoch: train has no option 'epoch'; did you mean",
        ),
        ({"other": {"train.epochs": "six"}}, "per_task.other.train.epochs: expected an integer, got 'six'"),
        ({"other": 3}, "per_task.other: must be a mapping of paths to values"),
        ([], "per_task: must be a mapping of task names to settings"),
    ],
)
def test_errors_of_every_entry_are_reported_with_their_position(toy: Toy, presets: object, error: str) -> None:
    document = toy.document().set(("per_task",), presets, "toy.yaml")
    with pytest.raises(UserError) as caught:
        recipe_of(document, toy.codec)
    assert error in str(caught.value)
