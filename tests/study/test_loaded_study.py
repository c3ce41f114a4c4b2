"""Reading studies of the fake parts; all errors at once, each with its position."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.sampler import Objective, SearchDimension
from bebertlab.study.space import listed_points
from bebertlab.study.study import Study
from bebertlab_samplers.optuna_samplers import RandomSampler

if TYPE_CHECKING:
    from tests.study.conftest import Files


def errors_of(files: Files, *sets: str, smoke: bool = False) -> list[str]:
    """The errors, without the name of the folder."""
    with pytest.raises(UserError) as error:
        files.read(*sets, smoke=smoke)
    return str(error.value).replace(f"{files.folder}/", "").replace(str(files.folder), "FOLDER").splitlines()


def test_a_study_file_is_read_completely(files: Files) -> None:
    source = files.read()
    study = source.study
    assert (study.name, study.seeds, study.threads, study.recipe_name) == ("little", (0, 1), 1, "study")
    assert study.plugins == (str(files.folder / "parts.py"),)
    assert study.search["members.size"] == SearchDimension(choice=(1, 2, 4))
    assert study.exclude == ({"members.ensemble": ["single"], "members.size": [2, 4]},)
    assert study.recipe["stages"]["members"]["size"] == 1
    assert study.goals == (Objective(metric="validation/score", goal="maximize"),)
    assert len(listed_points(study)) == 7
    assert "fakes" in source.plugins.registry.kinds("stage")


def test_a_recipe_may_be_a_file_that_extends_another(files: Files) -> None:
    inline = files.read().study.recipe
    (files.folder / "base.yaml").write_text(
        "task: {kind: fake}\nencoder: fake\nstages: {trunk: {kind: fake, rate: 2}, score: {kind: fake, model: trunk}}\n"
    )
    (files.folder / "mine.yaml").write_text("extends: base.yaml\nstages: {trunk: {kind: fake, rate: 3}}\n")
    files.path.write_text("name: x\nrecipe: mine.yaml\nplugins: [parts.py]\n")
    study = files.read().study
    assert study.recipe_name == "mine"
    assert study.recipe["stages"]["trunk"] == {"kind": "fake", "rate": 3}
    assert "extends" not in study.recipe
    assert inline != study.recipe


def test_all_errors_are_reported_at_once(files: Files) -> None:
    files.path.write_text(
        """\
schema_version: 1
name: lit tle
plugins: [parts.py, missing.py]
nmae: x
recipe:
  task: {kind: fake, size: 0}
  encoder: fake
  stages:
    trunk: {kind: fake, siez: 3}
    members: {kind: fakes, model: trunk, size: 1.7, ensemble: bagging}
    score: {kind: fake, model: member}
search:
  members.ensemble: {choice: [single, baging]}
  members.size: {choice: []}
  member.rate: {choice: [1, 2]}
  score.rate: {choice: [1.0, "2", true]}
  trunk.rate: {uniform: [2, 1]}
exclude:
  - {members.ensemble: singel}
  - {members.sleep: 1}
  - {}
seeds: [0, 1.5]
threads: 0
sampler: {kind: gird}
questions:
  - {text: Does it?, compare: members.ensmble}
  - {compare: members.ensemble, cost: membrs}
"""
    )
    actual = errors_of(files)
    assert actual.pop(6).startswith(
        "study.yaml:11:32: recipe.stages.score.model: there is no stage 'member'; did you mean"
    )
    assert actual == [
        "study.yaml:2:7: name: 'lit tle' must consist of letters, digits, '_', '.' and '-': it names a folder",
        "study.yaml:3:21: plugins.1: missing.py: no such file",
        "study.yaml:4:1: nmae: unknown key; did you mean 'name'? (known: constraints, description, exclude, is_smoke, "
        "name, objective, objectives, plugins, questions, recipe, recipe_name, relative_to, sampler, schema_version, "
        "search, seeds, set, smoke, threads)",
        "study.yaml:6:28: recipe.task.size: must be >= 1, got 0",
        "study.yaml:9:25: recipe.stages.trunk.siez: unknown option of stage 'fake'; did you mean 'size'? (known: "
        "ensemble, fault, metric, model, rate, seed, size, sleep)",
        "study.yaml:10:48: recipe.stages.members.size: expected an integer, got 1.7",
        "study.yaml:13:39: recipe.stages.members.ensemble: unknown ensemble 'baging'; did you mean 'bagging'? (known: "
        "bagging, boosting, single)",
        "study.yaml:14:17: search.members.size: choice is empty; list at least one value",
        "study.yaml:15:3: search: member.rate: 'member' is no key and no stage of the recipe; did you mean 'members'? "
        "(known: description, encoder, members, result, schema_version, score, seed, stages, task, train, trunk)",
        "study.yaml:16:30: recipe.stages.score.rate: expected a number, got '2'",
        "study.yaml:16:35: recipe.stages.score.rate: expected a number, got true",
        "study.yaml:17:15: search.trunk.rate: uniform is [2.0, 1.0]; the first number must be smaller",
        "study.yaml:19:24: exclude.0.members.ensemble: singel is not one of the choices: single, baging",
        "study.yaml:20:21: exclude.1.members.sleep: 'members.sleep' is not searched; did you mean 'members.ensemble'? "
        "(known: member.rate, members.ensemble, score.rate)",
        "study.yaml:21:5: exclude.2: is empty and would exclude every point",
        "study.yaml:22:12: seeds.1: expected an integer, got 1.5",
        "study.yaml:23:10: threads: must be >= 1, got 0",
        "study.yaml:24:17: sampler.kind: unknown sampler 'gird'; did you mean 'grid'? (known: "
        "gp, grid, nsga2, optuna, qmc, random, tpe)",
        "study.yaml:26:22: members.ensmble: stages.members (stage 'fakes') has no option 'ensmble'; did you mean "
        "'ensemble'? (known: ensemble, model, size, sleep)",
        "study.yaml:27:5: questions.1: text is missing (text)",
    ]


def test_an_option_next_to_the_sampler_is_named(files: Files) -> None:
    ranged = files.text[: files.text.index("  members.ensemble: {choice")] + "  score.rate: {uniform: [0.1, 1]}\n"
    files.path.write_text(f"{ranged}sampler: {{kind: tpe}}\ntrials: 4\n")
    assert errors_of(files) == [  # no errors of a grid, which the file does not use
        "study.yaml:14:10: sampler: trials is missing (an integer)",
        "study.yaml:15:1: trials: unknown key; it belongs in `sampler`, e.g. sampler: {trials: ...}",
    ]


def test_keys_that_refer_to_the_search_are_checked(files: Files) -> None:
    text = files.text[: files.text.index("exclude:")]
    files.path.write_text(
        text
        + """\
exclude:
  - {members.ensemble: singel, members.size: [2, 4]}
  - {members.sleep: 1}
  - {}
questions:
  - {text: a, compare: members.ensmble}
  - {text: b, compare: stages.members.ensemble, cost: membrs, baseline: bugging}
"""
    )
    assert errors_of(files) == [
        "study.yaml:16:24: exclude.0.members.ensemble: singel is not one of the choices: single, bagging, boosting",
        "study.yaml:17:21: exclude.1.members.sleep: 'members.sleep' is not searched; did you mean 'members.size'? "
        "(known: members.ensemble, members.size)",
        "study.yaml:18:5: exclude.2: is empty and would exclude every point",
        "study.yaml:20:15: members.ensmble: stages.members (stage 'fakes') has no option 'ensmble'; did you mean "
        "'ensemble'? (known: ensemble, model, size, sleep)",
        "study.yaml:21:55: questions.1.cost: there is no stage 'membrs'; did you mean 'members'? (known: members, "
        "score, trunk)",
        "study.yaml:21:73: questions.1.baseline: bugging is not one of the choices: single, bagging, boosting",
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("members.size: {choice: [1, 1]}", "13:17: search.members.size: choice has 1 twice"),
        (
            "members.size: [1, 2]",
            "13:17: search.members.size: expected a mapping (choice, uniform, loguniform, integer, when)",
        ),
        ("members.size: {uniform: [1, 2.5]}", "13:28: recipe.stages.members.size: expected an integer, got 1.0"),
        ("members.size: {integer: [0, 2]}", "13:28: recipe.stages.members.size: must be >= 1, got 0"),
        ("stages.members.ensemble: {choice: [single]}", "14:3: search.stages.members.ensemble: searches the same as"),
        ("seed: {choice: [1, 2]}", "13:3: search.seed: seeds are listed under seeds, not searched"),
        (
            "score.rate: {uniform: [0.1, 1]}",
            "13:15: search.score.rate: the sampler grid needs a choice; a range needs one",
        ),
        (
            "members.sizes: {choice: [1, 2]}",
            "13:3: search: members.sizes: stages.members (stage 'fakes') has no option",
        ),
    ],
)
def test_an_invalid_axis_is_an_error(files: Files, line: str, error: str) -> None:
    lines = files.text[: files.text.index("  members.ensemble: {choice")] + f"  {line}\n"
    if "same as" in error:
        lines = lines.replace("search:\n", "search:\n  members.ensemble: {choice: [single]}\n")
    files.path.write_text(lines)
    actual = errors_of(files)
    assert [item for item in actual if item.startswith(f"study.yaml:{error}")], actual


def test_a_choice_is_checked_at_points_that_are_not_excluded(files: Files) -> None:
    # single with the recipe's own size 2 would be wrong, but no trial has it
    assert files.read("recipe.stages.members.size=2", "search.members.size=[1, 2]").study


def test_a_study_that_excludes_every_point_is_an_error(files: Files) -> None:
    files.write(exclude="exclude: [{members.size: [1, 2, 4]}]", **{"- {members.ensemble": ""})
    assert errors_of(files) == ["study.yaml:15:10: exclude: excludes every point"]
    drawn = ("sampler.kind=random", "sampler.trials=3")
    assert errors_of(files, *drawn) == ["study.yaml:15:10: exclude: excludes every point"]
    assert errors_of(files, *drawn, "search.score.rate={uniform: [1, 2]}") == [
        "study.yaml:15:10: exclude: excludes every point"
    ]


def test_set_fixes_an_axis_and_removes_references_to_it(files: Files) -> None:
    study = files.read("members.size=2").study
    assert list(study.search) == ["members.ensemble"]
    assert study.recipe["stages"]["members"]["size"] == 2
    assert study.exclude == ({"members.ensemble": ["single"]},)
    assert [question.text for question in study.questions] == ["Does boosting pay?"]
    study = files.read("members.ensemble.kind=bagging", "stages.members.size=4").study
    assert (study.search, study.exclude, study.questions) == ({}, (), ())
    assert study.recipe["stages"]["members"] == {
        "kind": "fakes",
        "model": "trunk",
        "size": 4,
        "ensemble": {"kind": "bagging"},
    }


QUESTION = """
questions:
  - {text: a, compare: members.ensemble, baseline: single, where: {members.size: LINE}, by: members.size}
"""


def questions_of(files: Files, line: str, *sets: str, smoke: bool = False) -> list[tuple[object, object]]:
    """The conditions and splits of the remaining questions."""
    start, end = files.text.index("questions:"), files.text.index("smoke:")
    text = QUESTION.replace("LINE", line)
    files.path.write_text(files.text[:start] + text.lstrip() + files.text[end:])
    return [(item.where, item.by) for item in files.read(*sets, smoke=smoke).study.questions]


@pytest.mark.parametrize(
    ("line", "sets", "expected"),
    [
        ("[2, 4]", [], [({"members.size": [2, 4]}, "members.size")]),
        ("4", [], [({"members.size": [4]}, "members.size")]),
        ("{not: 1}", [], [({"members.size": [2, 4]}, "members.size")]),
        ("[1, 2, 4]", [], [(None, "members.size")]),  # without effect
        ("[2, 4]", ["search.members.size=[1, 2]"], [({"members.size": [2]}, "members.size")]),
        ("[2, 4]", ["search.members.size=[2, 4]"], [(None, "members.size")]),
        ("[2, 4]", ["members.size=4"], [(None, None)]),
        ("{not: [1, 2]}", ["members.size=4"], [(None, None)]),
        ("[2, 4]", ["members.size=1"], []),  # its condition cannot be met any more
        ("[2, 4]", ["search.members.size=[1]"], []),
        ("{not: 1}", ["search.members.size=[1]"], []),
    ],
)
def test_the_condition_of_a_question_is_resolved(
    files: Files, line: str, sets: list[str], expected: list[tuple[object, object]]
) -> None:
    assert questions_of(files, line, *sets) == expected


def test_smoke_resolves_the_condition_of_a_question(files: Files) -> None:
    assert questions_of(files, "{not: 1}", smoke=True) == [({"members.size": [2]}, "members.size")]


def test_an_invalid_condition_of_a_question_is_reported_with_its_position(files: Files) -> None:
    text = files.text[: files.text.index("questions:")]
    files.path.write_text(
        text
        + """\
questions:
  - {text: a, compare: members.ensemble, where: {members.size: [2, 3]}}
  - {text: b, compare: members.ensemble, where: {members.sleep: 1}, by: members.sleep}
  - {text: c, compare: members.ensemble, where: {members.ensemble: single}, by: members.ensemble}
  - {text: d, compare: members.ensemble, where: {}}
  - {text: e, compare: members.ensemble, where: 3, by: [members.size]}
"""
    )
    first = text.count("\n") + 2
    unsearched = "'members.sleep' is not searched; did you mean 'members.size'? (known: members.ensemble, members.size)"
    actual = errors_of(files)
    assert actual.pop(6).startswith(f"study.yaml:{first + 4}:49: questions.4.where: expected a mapping")
    assert actual == [
        f"study.yaml:{first}:64: questions.0.where.members.size: 3 is not one of the choices: 1, 2, 4",
        f"study.yaml:{first + 1}:65: questions.1.where.members.sleep: {unsearched}",
        f"study.yaml:{first + 1}:73: questions.1.by: {unsearched}",
        f"study.yaml:{first + 2}:49: questions.2.where: 'members.ensemble' is compared; a condition names other paths",
        f"study.yaml:{first + 2}:81: questions.2.by: 'members.ensemble' is compared; name another searched option",
        f"study.yaml:{first + 3}:49: questions.3.where: is empty; name a searched option and its values",
        f"study.yaml:{first + 4}:56: questions.4.by: expected text, got a list",
    ]


def test_only_options_with_choices_can_be_split(files: Files) -> None:
    sets = ("sampler.kind=random", "sampler.trials=3", "search.members.size={integer: [1, 9]}")
    with pytest.raises(UserError, match=r"questions.0.by: 'members.size' is a range; only an option with a choice"):
        questions_of(files, "4", *sets)


def test_set_reduces_adds_and_replaces_axes(files: Files) -> None:
    study = files.read("search.stages.members.size=[2, 4]", "search.score.rate=[1.0, 2.0]").study
    assert study.search["members.size"] == SearchDimension(choice=(2, 4))
    assert study.search["score.rate"] == SearchDimension(choice=(1.0, 2.0))
    study = files.read("search.members.ensemble=[bagging, boosting]").study
    assert study.exclude == ()
    assert study.questions[0].baseline is None  # each value is compared with the previous one
    study = files.read(
        "sampler=random", "sampler.trials=3", "members.ensemble=bagging", "search.members.size={integer: [1, 9]}"
    ).study
    assert study.sampler == RandomSampler(trials=3)
    assert study.search["members.size"] == SearchDimension(integer=(1, 9))


def test_set_changes_keys_of_the_study(files: Files) -> None:
    study = files.read(
        "seeds=[7]", "threads=2", "objective.metric=number", "objective.goal=minimize", "name=other"
    ).study
    assert (study.seeds, study.threads, study.name) == ((7,), 2, "other")
    assert study.objective == Objective(metric="number", goal="minimize")


def test_smoke_changes_the_study_and_set_overrides_it(files: Files) -> None:
    study = files.read(smoke=True).study
    assert (study.seeds, study.search["members.size"].choice, study.recipe["task"]["size"]) == ((0,), (1, 2), 3)
    study = files.read("seeds=[5]", "task.size=9", smoke=True).study
    assert (study.seeds, study.recipe["task"]["size"]) == ((5,), 9)
    assert files.read().study.recipe["task"] == {"kind": "fake"}


def test_set_in_the_file_changes_only_options_that_are_not_searched(files: Files) -> None:
    files.path.write_text(files.text + "set: {score.rate: 2.5}\n")
    assert files.read().study.recipe["stages"]["score"]["rate"] == 2.5
    files.path.write_text(files.text + "set: {members.size: 3, seeds: [1], trunk.rat: 1}\n")
    assert errors_of(files) == [
        "study.yaml:22:21: set.members.size: is searched as well; take it out of set or of search",
        "study.yaml:22:31: set.seeds: `set` changes the recipe; write keys of the study directly",
        "study.yaml:22:47: trunk.rat: stages.trunk (stage 'fake') has no option 'rat'; did you mean 'rate'? (known: "
        "ensemble, fault, metric, model, rate, seed, size, sleep)",
    ]


def test_errors_of_the_command_line_name_the_option(files: Files) -> None:
    actual = errors_of(
        files, "members.size=0", "score.rat=1", "seeds=[", "train", "sampler.kind=gird", "smoke.x=1", "search.x=[1]"
    )
    assert "--set train: write it as path=value, e.g. --set train.epochs=1" in actual
    assert any(line.startswith("--set seeds=[: is not valid YAML") for line in actual)
    assert any(
        line.startswith("--set members.size=0: recipe.stages.members.size: must be >= 1, got 0") for line in actual
    )
    assert any(line.startswith("--set score.rat=1: score.rat: stages.score (stage 'fake') has no") for line in actual)
    assert any(line.startswith("--set sampler.kind=gird: sampler.kind: unknown sampler 'gird'") for line in actual)
    assert "--set smoke.x=1: smoke.x: cannot be overridden" in actual
    assert any(line.startswith("--set search.x=[1]: x: 'x' is no key and no stage of the recipe") for line in actual)


def test_smoke_requires_a_smoke_section(files: Files) -> None:
    files.write(smoke="threads: 1")
    assert errors_of(files, smoke=True) == ["study.yaml:1:1: has no `smoke`, the small version that --smoke runs"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("- 1\n", "study.yaml:1:1: a study is a mapping with at least name and recipe"),
        ("name: x\n", "study.yaml:1:1: recipe is missing; e.g. recipe: recipes/bebert.yaml"),
        ("stages: {}\n", "study.yaml:1:1: expected a study, got a recipe; use the commands of `bebertlab recipe`"),
        ("name: x\nrecipe: 3\n", "study.yaml:2:9: recipe: must be the path of a recipe, or a recipe; e.g."),
        ("name: x\nrecipe: nowhere.yaml\n", "study.yaml:2:9: recipe: nowhere.yaml: no such file"),
        ("name: x\nrecipe: .\n", "study.yaml:2:9: recipe: FOLDER: is a folder, expected a file"),
        ("name: x\nname: y\nrecipe: {}\n", "study.yaml:2:1: name: duplicate key, first at line 1"),
    ],
)
def test_a_file_that_is_not_a_study_is_refused(files: Files, text: str, error: str) -> None:
    files.path.write_text(text)
    assert errors_of(files)[0].startswith(error)


def test_a_searched_kind_may_set_other_options(files: Files) -> None:
    study = files.read("search.task=[fake, {kind: fake, size: 7}]").study
    assert listed_points(study)[-1]["task"] == {"kind": "fake", "size": 7}


def test_reading_depends_on_the_files_alone(files: Files, tmp_path: Path) -> None:
    study: Study = files.read().study
    assert files.read().study == study
    assert evolve(study, name="x") != study
