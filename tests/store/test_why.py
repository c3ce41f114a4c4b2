from __future__ import annotations

from collections.abc import Mapping

from bebertlab.store.manifest import Manifest
from bebertlab.store.why import Difference, differences, flatten, main_differences, nearest


def manifest(key: str, kind: str, parts: Mapping[str, object]) -> Manifest:
    return Manifest(key=key, stage="s", kind=kind, parts=parts, seconds=0.0)


def test_empty_mappings_are_values() -> None:
    assert flatten({"a": {}, "b": []}) == {"a": {}, "b": []}


def test_changed_added_and_missing_values_are_listed() -> None:
    mine = {"seed": 0, "train": {"epochs": 2}, "new": 1}
    other = {"seed": 0, "train": {"epochs": 3}, "old": 2}
    assert differences(mine, other, lambda _key: None) == (
        Difference(path="train.epochs", value=2, other=3),
        Difference(path="new", value=1, other="(absent)"),
        Difference(path="old", value="(absent)", other=2),
    )


def test_a_different_input_is_followed_upstream() -> None:
    known = {
        "t0": {"seed": 0, "inputs": {}},
        "t1": {"seed": 1, "inputs": {}},
        "h0": {"width": 0.5, "inputs": {"model": ["t0"]}},
        "h1": {"width": 0.5, "inputs": {"model": ["t1"]}},
    }
    mine, other = {"inputs": {"model": ["h0"], "teacher": ["h0"]}}, {"inputs": {"model": ["h1"], "teacher": ["h1"]}}
    assert differences(mine, other, known.get) == (
        Difference(path="inputs.model.0 > inputs.model.0 > seed", value=0, other=1),
    )


def test_a_stage_without_inputs_differs_from_one_with_inputs() -> None:
    actual = differences({"inputs": {"of": ["a"]}}, {"inputs": {}}, lambda _key: None)
    assert [(item.path, item.value) for item in actual] == [("inputs.of.0", "a"), ("inputs", "(absent)")]


def test_a_difference_is_listed_once_at_the_nearest_stage() -> None:
    known = {"a": {"seed": 0, "width": 1}, "b": {"seed": 1, "width": 2}}
    mine, other = {"seed": 0, "inputs": {"model": ["a"]}}, {"seed": 1, "inputs": {"model": ["b"]}}
    assert [item.path for item in differences(mine, other, known.get)] == ["seed", "inputs.model.0 > width"]


def test_an_unknown_input_is_listed_by_its_key() -> None:
    assert differences({"inputs": {"model": ["a"]}}, {"inputs": {"model": ["b"]}}, lambda _key: None) == (
        Difference(path="inputs.model.0", value="a", other="b"),
    )


def test_the_nearest_stage_has_the_same_kind_and_the_fewest_differences() -> None:
    mine = {"a": 1, "b": 2, "c": 3}
    stored = [
        manifest("1", "split", mine),
        manifest("2", "distill", {"a": 1, "b": 0, "c": 0}),
        manifest("3", "distill", {"a": 1, "b": 2, "c": 0}),
        manifest("4", "distill", mine),
    ]
    actual = nearest(mine, "distill", stored, key="4")
    assert actual is not None
    assert actual.key == "3"
    assert nearest(mine, "finetune", stored) is None


def difference(path: str, value: object, other: object) -> Difference:
    return Difference(path=path, value=value, other=other)


EXPANDED = [
    difference("made_of.design.weights.query.kind", "bwn", "twn"),
    difference("made_of.design.weights.key.kind", "bwn", "twn"),
    difference("made_of.design.weights.query.options.granularity", "tensor", "row"),
]


def test_options_explain_what_they_expand_to_and_a_kind_explains_its_options() -> None:
    weights = "inputs.of.0 > stage.options.scheme.options.weights"
    prefixed = [difference(f"inputs.of.0 > {item.path}", item.value, item.other) for item in EXPANDED]
    shown, left_out = main_differences(
        [
            difference(f"{weights}.kind", "bwn", "twn"),
            difference(f"{weights}.options.threshold", "(absent)", 0.7),
            difference("inputs.of.0 > stage.options.train.epochs", 2, 1),
            *prefixed,
            difference("inputs.of.0 > made_of.design.inputs.query.revision", 4, 3),
            difference("seed", 0, 1),
        ]
    )
    assert shown == (
        difference("of > scheme.weights", "bwn", "twn"),
        difference("of > train.epochs", 2, 1),
        difference("of > quantization.inputs.*.revision", 4, 3),
        difference("seed", 0, 1),
    )
    assert left_out == 3


def test_equal_differences_of_sites_are_listed_once() -> None:
    assert main_differences(EXPANDED) == ((difference("quantization.weights.*", "bwn", "twn"),), 0)


def test_a_part_that_one_side_does_not_have_is_compared_with_what_it_has_there() -> None:
    shown, _ = main_differences(
        [
            difference("stage.options.distillation", "(absent)", None),
            difference("stage.options.distillation.kind", "two-stage", "(absent)"),
            difference("stage.options.distillation.options.temperature", 1.0, "(absent)"),
        ]
    )
    assert shown == (difference("distillation", "two-stage", None),)
