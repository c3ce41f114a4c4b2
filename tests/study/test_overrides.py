from __future__ import annotations

import pytest

from bebertlab.config.document import Place, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UserError
from bebertlab.registry.manager import load_plugins
from bebertlab.study.overrides import (
    Override,
    axis_named,
    override_recipe,
    override_study,
    parse_override,
    written_overrides,
)


def change(path: str, value: object) -> Override:
    return Override(path=path, value=value, place=Place(origin="--set"))


def test_an_override_is_a_path_and_a_yaml_value() -> None:
    assert parse_override("encoder.name=a=b").value == "a=b"
    assert parse_override(" seeds =[0, 1]").path == "seeds"
    assert parse_override("members.distillation=none").value == "none"
    assert str(parse_override("threads=2").place) == "--set threads=2"


@pytest.mark.parametrize("text", ["train.epochs", "=1", "x=[", "x={a: 1, a: 2}"])
def test_an_invalid_override_is_named(text: str) -> None:
    with pytest.raises(UserError, match=r"^--set "):
        parse_override(text)


def test_the_first_key_determines_the_target_of_an_override() -> None:
    assert change("seeds", [1]).is_own
    assert change("recipe", "other.yaml").is_own
    assert not change("recipe.task.size", 1).is_own
    assert not change("search.task.size", [1]).is_own
    assert not change("task.size", 1).is_own


def test_overrides_record_where_they_were_written() -> None:
    errors = ErrorCollector()
    document = parse_yaml("smoke: {seeds: [0], search.a.b: [1]}\nset: 3\n", "s.yaml")
    seeds, axis = written_overrides(document, "smoke", errors)
    assert (seeds.path, seeds.value, str(seeds.place)) == ("seeds", [0], "s.yaml:1:16")
    assert (axis.path, axis.value) == ("search.a.b", [1])
    assert written_overrides(document, "set", errors) == []
    assert str(errors) == "s.yaml:2:6: set: must be a mapping of paths to values"
    assert written_overrides(document, "nothing", errors) == []


def test_keys_of_the_study_are_changed_and_created() -> None:
    errors = ErrorCollector()
    changes = [change("seeds", [3]), change("objective.goal", "minimize"), change("sampler", "tpe"), change("a.b", 1)]
    document = override_study(YamlDocument.of({"seeds": [0, 1]}), changes, errors)
    assert document.data == {"seeds": [3], "objective": {"goal": "minimize"}, "sampler": {"kind": "tpe"}}
    assert not errors


def test_an_axis_is_matched_under_all_its_paths() -> None:
    registry = load_plugins().registry
    study = YamlDocument.of({"search": {"stages.half.width": {"choice": [0.5]}, "nowhere": {}}})
    recipe = YamlDocument.of({"stages": {"half": {"kind": "slice", "model": "x", "width": 0.5}}})
    keys = ("stages", "half", "width")
    assert axis_named(study, recipe, keys, registry) == "stages.half.width"
    assert axis_named(study, recipe, ("stages", "half", "model"), registry) is None
    errors = ErrorCollector()
    study, recipe = override_recipe(study, recipe, [change("half.width", 0.25)], registry, errors)
    assert not errors
    assert study.data["search"] == {"nowhere": {}}
    assert recipe.get(keys) == 0.25
