from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bebertlab.config.document import Keys, Place, YamlDocument, show
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UserError

TEXT = """\
task: {kind: minigrammar, size: 100}
train:
  epochs: 3
  losses: [labels, {kind: hidden, weight: 2}]
distillation: two-stage
scheme: null
"""
STUDY = parse_yaml(TEXT, "study.yaml")

names = st.sampled_from(["a", "b", "c"])
trees = st.recursive(st.integers(), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=6)


def places(document: YamlDocument, *paths: Keys) -> list[str]:
    return [str(document.place(path)) for path in paths]


def test_values_and_keys_have_positions() -> None:
    assert places(STUDY, ("task", "size"), ("train", "losses", 1, "weight"), ("train",)) == [
        "study.yaml:1:33",
        "study.yaml:4:43",
        "study.yaml:3:3",
    ]
    assert str(STUDY.key_place(("train", "losses"))) == "study.yaml:4:3"


def test_a_missing_value_has_the_position_of_its_mapping() -> None:
    assert places(STUDY, ("train", "steps"), ("train", "steps", "deep"), ("nothing",)) == [
        "study.yaml:3:3",
        "study.yaml:3:3",
        "study.yaml:1:1",
    ]


def test_has_and_get_follow_mappings_and_lists() -> None:
    assert STUDY.get(("train", "losses", "1", "weight")) == 2
    absent: list[Keys] = [("train", "losses", 2), ("task", "size", "x"), ("train", "losses", "x")]
    assert not any(STUDY.has(path) for path in absent)


def test_set_replaces_one_value_and_its_position() -> None:
    changed = STUDY.set(("train", "epochs"), 1, "--set train.epochs=1")
    assert changed.get(("train",)) == {**STUDY.get(("train",)), "epochs": 1}
    assert places(changed, ("train", "epochs"), ("train", "losses")) == ["--set train.epochs=1", "study.yaml:4:11"]
    assert STUDY.get(("train", "epochs")) == 3


def test_set_creates_missing_mappings() -> None:
    changed = STUDY.set(("encoder", "layers", "kept"), 2, "--set")
    assert changed.get(("encoder",)) == {"layers": {"kept": 2}}
    assert places(changed, ("encoder",), ("encoder", "layers")) == ["study.yaml:1:1", "study.yaml:1:1"]
    assert str(changed.key_place(("encoder", "layers", "kept"))) == "--set"


@pytest.mark.parametrize(
    ("path", "value", "field", "expected"),
    [
        (("task", "kind"), "glue", "task", {"kind": "glue"}),
        (("task", "kind"), "minigrammar", "task", {"kind": "minigrammar", "size": 100}),
        (("task",), "glue", "task", {"kind": "glue"}),
        (("task",), "minigrammar", "task", {"kind": "minigrammar", "size": 100}),
        (("task",), {"kind": "minigrammar"}, "task", {"kind": "minigrammar"}),
        (("distillation",), "none", "distillation", "none"),
        (("distillation", "kind"), "none", "distillation", {"kind": "none"}),
        (("distillation", "weight"), 2, "distillation", {"kind": "two-stage", "weight": 2}),
        (("scheme", "kind"), "binarybert", "scheme", {"kind": "binarybert"}),
        (("train", "losses", "1", "kind"), "labels", "train", {"epochs": 3, "losses": ["labels", {"kind": "labels"}]}),
    ],
)
def test_another_kind_removes_the_keys_of_the_previous_one(
    path: Keys, value: object, field: str, expected: object
) -> None:
    assert STUDY.set(path, value, "--set").get((field,)) == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("train", "epochs", "x"), "--set x: train.epochs is 3, a value without options to set"),
        (("train", "losses", 2), "--set x: train.losses is a list of 2 and has no item 2"),
        (("train", "losses", "kind"), "has no item kind"),
    ],
)
def test_a_path_through_a_scalar_or_past_a_list_is_an_error(path: Keys, message: str) -> None:
    with pytest.raises(UserError, match=message):
        STUDY.put(path, YamlDocument.of(1, "--set x"))


def test_a_path_through_a_list_needs_a_number() -> None:
    with pytest.raises(UserError, match="has no item weight"):
        STUDY.set(("train", "losses", "weight"), 1, "--set")


def test_a_part_keeps_its_positions_and_its_path() -> None:
    part = STUDY.at(("train", "losses"))
    assert part.data == ["labels", {"kind": "hidden", "weight": 2}]
    assert places(part, (), (1, "weight")) == ["study.yaml:4:11", "study.yaml:4:43"]
    assert part.at((1,)).prefix == ("train", "losses", 1)


def test_a_part_keeps_its_positions_in_another_document() -> None:
    moved = parse_yaml("recipe: x.yaml", "s.yaml").put(("recipe",), STUDY)
    assert places(moved, ("recipe", "train", "epochs")) == ["study.yaml:3:11"]
    assert str(moved.key_place(("recipe",))) == "s.yaml:1:1"
    assert moved.at(("recipe", "train")).data == STUDY.get(("train",))


def test_merging_combines_mappings() -> None:
    over = parse_yaml("train:\n  losses: []\ndistillation: {weight: 2}\nscheme: {kind: x}\nnew: 1", "over.yaml")
    merged = STUDY.merged(over)
    assert merged.data == {
        "task": {"kind": "minigrammar", "size": 100},
        "train": {"epochs": 3, "losses": []},
        "distillation": {"kind": "two-stage", "weight": 2},
        "scheme": {"kind": "x"},
        "new": 1,
    }
    assert places(merged, ("train", "epochs"), ("train", "losses"), ("new",)) == [
        "study.yaml:3:11",
        "over.yaml:2:11",
        "over.yaml:5:6",
    ]
    assert str(merged.key_place(("train", "losses"))) == "over.yaml:2:3"


def test_merging_another_kind_replaces_the_mapping() -> None:
    merged = STUDY.merged(parse_yaml("task: {kind: glue, name: cola}", "over.yaml"))
    assert merged.get(("task",)) == {"kind": "glue", "name": "cola"}


@settings(max_examples=50)
@given(base=st.dictionaries(names, trees), over=st.dictionaries(names, trees))
def test_merging_keeps_all_keys_and_the_new_values(base: dict[str, object], over: dict[str, object]) -> None:
    merged = YamlDocument.of(base, "base").merged(YamlDocument.of(over, "over"))
    assert merged.data.keys() == base.keys() | over.keys()
    for key in over:
        if not isinstance(over[key], dict) or not isinstance(base.get(key), dict):
            assert merged.data[key] == over[key]
            assert merged.place((key,)) == Place(origin="over")
    assert all(merged.data[key] == base[key] for key in base.keys() - over.keys())


@settings(max_examples=50)
@given(tree=st.dictionaries(names, trees), path=st.lists(names, min_size=1, max_size=3).map(tuple), value=st.booleans())
def test_put_leaves_other_values_unchanged(tree: dict[str, object], path: tuple[str, ...], value: bool) -> None:
    document = YamlDocument.of(tree, "f")
    try:
        changed = document.put(path, YamlDocument.of(value, "--set"))
    except UserError:
        assert any(isinstance(document.get(path[:i]), int) for i in range(1, len(path)) if document.has(path[:i]))
        return
    assert changed.get(path) is value
    assert changed.place(path) == Place(origin="--set")
    assert {key: item for key, item in changed.data.items() if key != path[0]} == {
        key: item for key, item in tree.items() if key != path[0]
    }


def test_show_formats_a_path_as_users_write_it() -> None:
    assert show(()) == ""
    assert show(("a", 0, "b")) == "a.0.b"
