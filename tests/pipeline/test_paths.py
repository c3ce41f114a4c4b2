from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError
from bebertlab.pipeline.paths import resolve_path, set_value, type_at
from bebertlab.pipeline.read import recipe_of

if TYPE_CHECKING:
    from bebertlab.config.document import YamlDocument
    from tests.pipeline.conftest import Toy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import attrs

from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.pipeline.paths import alternatives, class_at, default_of, fields_of, items_of, role_of
from bebertlab.training.options import TrainOptions

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("seed", ("seed",)),
        ("task.size", ("task", "size")),  # not written in the file
        ("task.kind", ("task", "kind")),
        ("train.batch_size", ("train", "batch_size")),
        ("team.size", ("stages", "team", "size")),
        ("stages.team.size", ("stages", "team", "size")),
        ("student.train.warmup", ("stages", "student", "train", "warmup")),
        ("teacher.train.epochs", ("stages", "teacher", "train", "epochs")),
        ("student.scheme", ("stages", "student", "scheme")),
        ("student.scheme.quantizer.bits", ("stages", "student", "scheme", "quantizer", "bits")),
        ("student.distillation.temperature", ("stages", "student", "distillation", "temperature")),  # a bare kind
        ("student.model", ("stages", "student", "model")),
        ("result", ("result",)),
        ("teacher", ("stages", "teacher")),
    ],
)
def test_paths_are_found(toy: Toy, text: str, keys: tuple[str, ...]) -> None:
    assert resolve_path(toy.document(), text, toy.registry) == keys


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("temm.size", "temm.size: 'temm' is no key and no stage of the recipe; did you mean 'team'?"),
        ("stages.temm.size", "there is no stage 'temm'; did you mean 'team'?"),
        ("team.sise", "team.sise: stages.team (stage 'team') has no option 'sise'; did you mean 'size'?"),
        ("train.epoks", "train has no option 'epoks'; did you mean 'epochs'?"),
        ("student.scheme.bitz", "stages.student.scheme (scheme 'low') has no option 'bitz'; did you mean 'bits'?"),
        ("student.scheme.scale", "(scheme 'low') has no option 'scale'"),  # an option of another scheme
        ("train.epochs.x", "train.epochs is an integer; nothing is below it"),
        ("task.kind.x", "task (task 'toy') has no option 'kind'"),
        ("", "is no key"),
        ("team..size", "has no option ''"),
        ("extends", "'extends' is no key"),
    ],
)
def test_paths_that_lead_nowhere_are_refused(toy: Toy, text: str, fault: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve_path(toy.document(), text, toy.registry)
    assert fault in str(caught.value)


def test_below_a_part_that_is_not_set_there_is_nothing(toy: Toy) -> None:
    document = set_value(toy.document(), "student.scheme", None, "--set", toy.registry)
    with pytest.raises(
        UserError, match=r"stages\.student\.scheme has no scheme yet; set stages\.student\.scheme\.kind"
    ):
        resolve_path(document, "student.scheme.bits", toy.registry)


def test_below_an_unknown_kind_the_kind_is_the_fault(toy: Toy) -> None:
    document = set_value(toy.document(), "student.scheme", "lo", "--set", toy.registry)
    with pytest.raises(UserError, match="unknown scheme 'lo'; did you mean 'low'"):
        resolve_path(document, "student.scheme.bits", toy.registry)


def test_types_are_those_of_the_options(toy: Toy) -> None:
    assert type_at(toy.document(), "team.size", toy.registry) is int
    assert type_at(toy.document(), "student.train.learning_rate", toy.registry) is float
    assert type_at(toy.document(), "task.kind", toy.registry) is str


def test_set_changes_a_value_and_says_where_it_came_from(toy: Toy) -> None:
    document = set_value(toy.document(), "team.size", 3, "--set team.size=3", toy.registry)
    assert document.get(("stages", "team", "size")) == 3
    broken = set_value(document, "train.epochs", "x", "--set train.epochs=x", toy.registry)
    with pytest.raises(UserError, match=r"--set train\.epochs=x: train\.epochs: expected an integer"):
        recipe_of(broken, toy.codec)


def test_set_of_a_wrong_path_begins_with_its_origin(toy: Toy) -> None:
    with pytest.raises(UserError, match=r"^--set temm\.size=3: temm\.size: "):
        set_value(toy.document(), "temm.size", 3, "--set temm.size=3", toy.registry)


def student(document: YamlDocument) -> object:
    return document.get(("stages", "student", "scheme"))


def test_another_kind_drops_the_keys_of_the_old_one(toy: Toy) -> None:
    start = toy.document()
    assert student(start) == {"kind": "low", "bits": 1}
    for text in ("student.scheme", "student.scheme.kind"):
        assert student(set_value(start, text, "high", "--set", toy.registry)) == {"kind": "high"}
        assert student(set_value(start, text, "low", "--set", toy.registry)) == {"kind": "low", "bits": 1}


def test_settings_build_on_each_other(toy: Toy, tmp_path: Path) -> None:
    document = toy.document()
    for text, value in (("task.kind", "other"), ("task.path", str(tmp_path))):
        document = set_value(document, text, value, f"--set {text}={value}", toy.registry)
    assert document.get(("task",)) == {"kind": "other", "path": str(tmp_path)}
    assert recipe_of(document, toy.codec).task.kind == "other"


def test_an_option_of_a_bare_kind_makes_it_a_mapping(toy: Toy) -> None:
    document = set_value(toy.document(), "student.distillation.temperature", 2.0, "--set", toy.registry)
    assert document.get(("stages", "student", "distillation")) == {"kind": "taught", "temperature": 2.0}


def test_an_option_of_a_default_writes_the_default_out(toy: Toy) -> None:
    document = set_value(toy.document(), "student.scheme.quantizer.bits", 3, "--set", toy.registry)
    assert student(document) == {"kind": "low", "bits": 1, "quantizer": {"kind": "round", "bits": 3}}
    recipe_of(document, toy.codec)


def test_the_kind_that_is_written_decides_the_class(toy: Toy) -> None:
    document = toy.document("a: {kind: low}\nb: high\nc: lo\nd: {bits: 3}\ne: 4")
    found = [class_at(document, (key,), SchemeOptions | None, toy.registry) for key in "abcdef"]
    assert [cls and cls.kind for cls in found] == ["low", "high", None, None, None, None]


def test_a_class_without_kinds_is_itself(toy: Toy) -> None:
    assert class_at(toy.document("a: 1"), ("a",), TrainOptions, toy.registry) is TrainOptions
    assert class_at(toy.document("a: 1"), ("a",), int, toy.registry) is None


def test_types_may_be_wrapped() -> None:
    assert role_of(Annotated[SchemeOptions | None, "why"]) == "scheme"
    assert alternatives(int) == (int,)


def test_defaults_are_made(toy: Toy) -> None:
    low = toy.registry.find("scheme", "low")
    assert default_of(fields_of(low)["bits"]) == 2
    assert getattr(default_of(fields_of(low)["quantizer"]), "bits", None) == 8
    other = toy.registry.find("task", "other")
    assert default_of(fields_of(other)["path"]) is attrs.NOTHING


@pytest.mark.parametrize(
    ("data", "of", "expected"),
    [
        ([1, 2], tuple[int, ...], [(0, 1, int), (1, 2, int)]),
        ([1, "a"], tuple[int, str], [(0, 1, int), (1, "a", str)]),
        ([1], list[int] | None, [(0, 1, int)]),
        ({"a": 1}, Mapping[str, int], [("a", 1, int)]),
        ({"a": 1}, tuple[int, ...], []),
        ("a", str | tuple[str, ...], []),
        (["a"], str | tuple[str, ...], [(0, "a", str)]),
        ([1], int, []),
    ],
)
def test_items_come_with_their_types(data: object, of: object, expected: list[object]) -> None:
    assert list(items_of(data, of)) == expected
