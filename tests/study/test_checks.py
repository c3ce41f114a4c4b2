from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UserError
from bebertlab.interfaces.sampler import SearchDimension
from bebertlab.registry.manager import load_plugins
from bebertlab.study.checks import Changed, check_paths, check_values, settle_exclude, settle_questions
from bebertlab.study.loaded_study import read_study
from bebertlab.study.space import listed_points

if TYPE_CHECKING:
    from tests.study.conftest import Files

SEVERAL = "objectives={validation/score: max, number: min}"
ONE_OBJECTIVE = """

from bebertlab.api import SamplerOptions


@frozen(kw_only=True)
class OneObjective(SamplerOptions):
    kind = "one-objective"

    def build(self, space):
        raise NotImplementedError


@hookimpl
def bebertlab_samplers():
    return [OneObjective]
"""


@pytest.fixture
def codec(files: Files) -> OptionsCodec:
    return OptionsCodec(load_plugins([files.folder / "parts.py"]).registry)


def values(
    study: YamlDocument,
    recipe: YamlDocument,
    exclude: Sequence[Mapping[str, Any]],
    codec: OptionsCodec,
    errors: ErrorCollector,
) -> None:
    """Check the values of the study's own axes."""
    search = {path: codec.load(axis, SearchDimension) for path, axis in study.data["search"].items()}
    check_values(study, recipe, search, exclude, codec, errors)


RECIPE = YamlDocument.of(
    {
        "task": "fake",
        "encoder": "fake",
        "stages": {"trunk": {"kind": "fake"}, "members": {"kind": "fakes", "model": "trunk"}, "score": "fake"},
        "result": "score",
    }
)


def test_a_recipe_that_is_invalid_by_itself_may_be_valid_at_every_point(codec: OptionsCodec) -> None:
    recipe = RECIPE.set(("stages", "members", "size"), 0, "recipe")
    study = parse_yaml("search: {members.size: {choice: [1, 2]}}", "s")
    errors = ErrorCollector()
    values(study, recipe, (), codec, errors)
    assert not errors
    values(parse_yaml("search: {}", "s"), recipe, (), codec, errors)
    assert str(errors) == "recipe: stages.members.size: must be >= 1, got 0"


def test_a_recipe_with_several_final_stages_needs_a_result(codec: OptionsCodec) -> None:
    text = "task: fake\nencoder: fake\nstages:\n  trunk: fake\n  score: {kind: fake, model: trunk}\n  aside: fake\n"
    expected = (
        "r.yaml:3:1: stages: there are 2 stages that no other stage reads (score, aside); name the one whose metrics"
        " are compared, e.g. `result: aside`"
    )
    for study in ("search: {}", "search: {trunk.size: {choice: [1, 2]}}"):
        errors = ErrorCollector()
        values(parse_yaml(study, "s"), parse_yaml(text, "r.yaml"), (), codec, errors)
        assert str(errors) == expected
        values(
            parse_yaml(study, "s"), parse_yaml(f"{text}result: aside", "r.yaml"), (), codec, errors := ErrorCollector()
        )
        assert not errors


def test_options_of_a_searched_part_are_ordered_after_it(codec: OptionsCodec) -> None:
    study = parse_yaml("search: {task.size: {choice: [0]}, task: {choice: [{kind: fake, size: 5}]}}", "s")
    errors = ErrorCollector()
    values(study, RECIPE, (), codec, errors)
    assert str(errors) == "s:1:31: task.size: must be >= 1, got 0"


def test_a_value_excluded_everywhere_is_not_checked(codec: OptionsCodec) -> None:
    study = parse_yaml("search: {members.size: {choice: [1, 0]}, score.rate: {choice: [1.0, 2.0]}}", "s")
    errors = ErrorCollector()
    values(study, RECIPE, [{"members.size": 0}], codec, errors)
    assert not errors
    values(study, RECIPE, [{"members.size": 0, "score.rate": 1.0}], codec, errors)
    assert str(errors) == "s:1:37: stages.members.size: must be >= 1, got 0"


def test_paths_are_checked_even_where_their_axis_is_invalid(codec: OptionsCodec) -> None:
    errors = ErrorCollector()
    check_paths(parse_yaml("search: {members.sise: 3}", "s"), RECIPE, codec.registry, errors)
    assert str(errors).startswith("s:1:10: search: members.sise: stages.members (stage 'fakes') has no option 'sise'")


def test_resolving_conditions_is_idempotent(files: Files, codec: OptionsCodec) -> None:
    for change in ("seeds=[1]", "members.size=2", "search.members.ensemble=[bagging]", "search.members.size=[1]"):
        study = read_study(files.path, load_plugins, sets=[change]).study
        changed = Changed(
            document=YamlDocument.of({}),
            recipe=YamlDocument(data=study.recipe),
            before=study.search,
            search=study.search,
            registry=codec.registry,
            errors=ErrorCollector(),
        )
        assert settle_exclude(dict(enumerate(study.exclude)), changed) == study.exclude
        assert settle_questions(dict(enumerate(study.questions)), changed) == study.questions
        assert not changed.errors


def settled(search: dict[str, SearchDimension], line: object, codec: OptionsCodec) -> tuple[object, str]:
    """The result of an item with one line, and its errors; `members.size` was searched before a change."""
    before = {"members.size": SearchDimension(choice=(1, 2, 4))}
    document = YamlDocument.of({"search": {name: {} for name in search}, "exclude": [{"members.size": line}]})
    recipe, errors = RECIPE.set(("stages", "members", "size"), 2, "recipe"), ErrorCollector()
    changed = Changed(
        document=document, recipe=recipe, before=before, search=search, registry=codec.registry, errors=errors
    )
    return settle_exclude({0: {"members.size": line}}, changed), str(errors)


def test_exclusions_may_be_negated(codec: OptionsCodec) -> None:
    axis = {"members.size": SearchDimension(choice=(1, 2, 4))}
    assert settled(axis, {"not": [2]}, codec) == (({"members.size": [1, 4]},), "")
    assert settled(axis, {"not": 2}, codec) == (({"members.size": [1, 4]},), "")
    assert settled({"members.size": SearchDimension(choice=(2, 4))}, {"not": [1, 2]}, codec) == (
        ({"members.size": [4]},),
        "",
    )


def test_options_fixed_by_overrides_are_excluded_unless_named(codec: OptionsCodec) -> None:
    assert settled({}, {"not": [1, 4]}, codec) == (({},), "")
    assert settled({}, {"not": [1, 2]}, codec) == ((), "")


def test_a_negated_exclusion_must_name_listed_choices(codec: OptionsCodec) -> None:
    for axis, value, what in (
        (SearchDimension(choice=(1, 2, 4)), 3, "exclude.0.members.size: 3 is not one of the choices: 1, 2, 4"),
        (
            SearchDimension(integer=(1, 9)),
            2,
            "'members.size' is a range, which has no other choices; list the excluded values",
        ),
    ):
        _, errors = settled({"members.size": axis}, {"not": [value]}, codec)
        assert what in errors


def test_an_error_of_both_ends_of_a_range_is_reported_once(codec: OptionsCodec) -> None:
    study = parse_yaml("search: {members.size: {uniform: [1, 2]}, score.rate: {choice: [-1.0, -2.0]}}", "s")
    errors = ErrorCollector()
    values(study, RECIPE, [], codec, errors)
    assert str(errors).splitlines() == [
        "s:1:35: stages.members.size: expected an integer, got 1.0",
        "s:1:65: stages.score.rate: must be > 0, got -1.0",
        "s:1:71: stages.score.rate: must be > 0, got -2.0",
    ]


@pytest.mark.parametrize(
    ("axis", "value", "what"),
    [
        (SearchDimension(integer=(1, 9)), 12, "12 is not an integer from 1 to 9"),
        (SearchDimension(integer=(1, 9)), 2.0, "2.0 is not an integer from 1 to 9"),
        (SearchDimension(uniform=(1, 9)), 2.0, "'members.size' is a range of real numbers, whose values"),
    ],
)
def test_an_exclusion_without_effect_on_a_range_is_refused(
    codec: OptionsCodec, axis: SearchDimension, value: float, what: str
) -> None:
    search = {"members.size": axis}
    document, errors = YamlDocument.of({"search": {"members.size": {}}}), ErrorCollector()
    changed = Changed(
        document=document, recipe=RECIPE, before=search, search=search, registry=codec.registry, errors=errors
    )
    settle_exclude({0: {"members.size": value}}, changed)
    assert str(errors).startswith(f"exclude.0.members.size: {what}")


def test_a_range_can_be_excluded_by_its_values(codec: OptionsCodec) -> None:
    search = {"members.size": SearchDimension(integer=(1, 9))}
    item = {"members.size": [3, 4]}
    errors = ErrorCollector()
    document = YamlDocument.of({"search": {"members.size": {}}})
    changed = Changed(
        document=document, recipe=RECIPE, before=search, search=search, registry=codec.registry, errors=errors
    )
    assert (settle_exclude({0: item}, changed), bool(errors)) == ((item,), False)


def errors_of(files: Files, *sets: str) -> list[str]:
    """The errors of reading a study, without the name of the folder."""
    with pytest.raises(UserError) as raised:
        files.read(*sets)
    return str(raised.value).replace(f"{files.folder}/", "").splitlines()


def test_an_error_of_one_item_hides_no_error_of_the_others(files: Files) -> None:
    head = files.text[: files.text.index("exclude:")]
    files.path.write_text(
        head
        + """\
exclude:
  - single
  - {members.ensemble: singel}
questions:
  - {compare: members.size}
  - {text: a, compare: members.size, cost: membrs}
"""
    )
    assert [error[: len("study.yaml:17:24: ") + 20] for error in errors_of(files)] == [
        "study.yaml:16:5: exclude.0: expected a",
        "study.yaml:17:24: exclude.1.members.en",
        "study.yaml:19:5: questions.0: text is ",
        "study.yaml:20:44: questions.1.cost: th",
    ]


def test_the_smoke_version_is_checked_with_the_study(files: Files) -> None:
    files.write(smoke="smoke: {sedes: [0], trunk.size: 1.5, threads: 0}")
    small = [
        "study.yaml:21:16: sedes: 'sedes' is no key and no stage of the recipe; did you mean 'seed'? (known: ",
        "study.yaml:21:33: recipe.stages.trunk.size: expected an integer, got 1.5",
        "study.yaml:21:47: threads: must be >= 1, got 0",
    ]
    actual = sorted(errors_of(files))
    assert len(actual) == len(small)
    assert all(error.startswith(start) for error, start in zip(actual, small, strict=True)), actual
    files.read("members.size=1")  # it need not suit every --set


def test_smoke_is_among_the_known_keys(files: Files) -> None:
    files.write(smoke="smok: {seeds: [0]}")
    assert errors_of(files)[0].startswith("study.yaml:21:1: smok: unknown key; did you mean 'smoke'? (known: ")


@pytest.mark.parametrize("sets", [(), ("score.rate=2", "score.sleep=1")])
def test_an_unknown_part_is_one_error_however_often_it_is_referenced(files: Files, sets: tuple[str, ...]) -> None:
    files.text = files.text.replace("score: {kind: fake,", "score: {kind: fak,")
    files.text = files.text.replace(
        "\nexclude:", "\n  score.rate: {choice: [1, 2]}\n  score.size: {choice: [1, 2]}\nexclude:"
    )
    files.write(smoke="smoke: {score.rate: 2, score.sleep: 1}")
    (error,) = errors_of(files, *sets)
    assert error.startswith("study.yaml:11:19: recipe.stages.score.kind: unknown stage 'fak'; did you mean 'fake'?")


def test_several_objectives_replace_a_single_one(files: Files) -> None:
    study = files.read(SEVERAL).study
    assert study.objective is None
    assert [(goal.metric, goal.maximize) for goal in study.goals] == [("validation/score", True), ("number", False)]
    (line,) = errors_of(files, SEVERAL, "objective.metric=number")
    assert line.endswith("objectives: objective is given as well; give one of objective and objectives")
    (line,) = errors_of(files, "objectives={validation/score: maximum}")
    assert line.endswith("objectives.validation/score: unknown value 'maximum'; did you mean 'max'? (known: max, min)")


def test_a_single_objective_sampler_is_refused_for_several_objectives(files: Files) -> None:
    plugin = files.folder / "parts.py"
    plugin.write_text(plugin.read_text() + ONE_OBJECTIVE)
    sets = ("search.score.rate={uniform: [0.1, 1]}", "sampler={kind: one-objective, trials: 3}")
    assert files.read(*sets).study.sampler.kind == "one-objective"
    (line,) = errors_of(files, *sets, SEVERAL)
    assert line.endswith("sampler: the sampler one-objective takes one objective, and objectives has 2")


def test_objectives_name_at_least_one_metric(files: Files) -> None:
    (line,) = errors_of(files, "objectives={}")
    assert line.endswith(
        "objectives: names no metric; e.g. objectives: {validation/score: max, cost/seconds: min}, or leave it out"
    )


CONDITIONAL = """search:
  members.ensemble: {choice: [single, bagging]}
  members.size: {choice: [1, 2], when: {members.ensemble: bagging}}
  score.rate: {choice: [1.0, 2.0], when: {members.size: {not: 1}}}"""


def conditional(files: Files, *replaced: tuple[str, str]) -> None:
    search = CONDITIONAL
    for old, new in replaced:
        search = search.replace(old, new)
    head, tail = files.text.split("search:")
    files.path.write_text(f"{head}{search}\n{tail[tail.index('seeds:') :]}")


def test_conditions_say_where_a_path_exists(files: Files) -> None:
    conditional(files)
    study = files.read().study
    assert study.search["score.rate"].when == {"members.size": [2]}
    assert [dict(point) for point in listed_points(study)] == [
        {"members.ensemble": "single"},
        {"members.ensemble": "bagging", "members.size": 1},
        {"members.ensemble": "bagging", "members.size": 2, "score.rate": 1.0},
        {"members.ensemble": "bagging", "members.size": 2, "score.rate": 2.0},
    ]


def test_a_fixed_path_settles_the_conditions_on_it(files: Files) -> None:
    conditional(files)
    assert list(files.read("members.ensemble=single").study.search) == []
    study = files.read("members.ensemble=bagging").study
    assert {path: axis.when for path, axis in study.search.items()} == {
        "members.size": {},
        "score.rate": {"members.size": [2]},
    }


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        (("bagging}}", "baging}}"), "baging is not one of the choices: single, bagging"),
        (("{members.ensemble: bagging}", "{members.sleep: 1}"), "'members.sleep' is not searched"),
        (
            ("{members.ensemble: bagging}", "{score.rate: 1.0}"),
            "'score.rate' must be searched above 'members.size', whose existence depends on it",
        ),
    ],
)
def test_a_wrong_condition_is_an_error(files: Files, replaced: tuple[str, str], message: str) -> None:
    conditional(files, replaced)
    with pytest.raises(UserError, match=f"search.members.size.when.*{message}"):
        files.read()
