from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError
from bebertlab.pipeline.paths import find_target, resolve_path, set_value
from bebertlab.pipeline.read import recipe_of

if TYPE_CHECKING:
    from bebertlab.config.document import YamlDocument
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
def test_paths_are_resolved(toy: Toy, text: str, keys: tuple[str, ...]) -> None:
    assert resolve_path(toy.document(), text, toy.registry) == keys


@pytest.mark.parametrize(
    ("text", "error"),
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
def test_unknown_paths_are_refused(toy: Toy, text: str, error: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve_path(toy.document(), text, toy.registry)
    assert error in str(caught.value)


def test_below_an_unset_part_there_are_no_paths(toy: Toy) -> None:
    document = set_value(toy.document(), "student.scheme", None, "--set", toy.registry)
    with pytest.raises(
        UserError, match=r"stages\.student\.scheme has no scheme yet; set stages\.student\.scheme\.kind"
    ):
        resolve_path(document, "student.scheme.bits", toy.registry)


def test_below_an_unknown_kind_the_kind_is_the_error(toy: Toy) -> None:
    document = set_value(toy.document(), "student.scheme", "lo", "--set", toy.registry)
    with pytest.raises(UserError, match="unknown scheme 'lo'; did you mean 'low'"):
        resolve_path(document, "student.scheme.bits", toy.registry)


def test_types_are_those_of_the_options(toy: Toy) -> None:
    assert find_target(toy.document(), "team.size", toy.registry).type is int
    assert find_target(toy.document(), "student.train.learning_rate", toy.registry).type is float
    assert find_target(toy.document(), "task.kind", toy.registry).type is str


def test_set_changes_a_value_and_records_its_origin(toy: Toy) -> None:
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


def test_another_kind_removes_the_keys_of_the_previous_one(toy: Toy) -> None:
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
