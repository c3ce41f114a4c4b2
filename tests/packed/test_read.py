from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import SetupError, UserError
from bebertlab.formats import OtherFormat
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.model.bert import BertClassifier
from bebertlab.model.folder import TENSORS
from bebertlab.packed.container import read_container, write_container
from bebertlab.packed.contract import Score
from bebertlab.packed.modules import PackedMatrix
from bebertlab.packed.read import read_packed
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_bebert.merging import WeightedProbabilityOptions
from tests.packed.conftest import CLASSES, Damage, rewrite, set_config

BRANCH = "bert.pooler.dense.branches.0."
POOLER = f"{BRANCH}weight"


def refused(folder: Path, codec: OptionsCodec, error: type[UserError] = UserError) -> str:
    """The one line that a packed model is refused with."""
    with pytest.raises(error) as caught:
        read_packed(folder, codec)
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith(str(folder))
    assert len(text) < 700
    return text


def test_what_was_packed_is_read(pack: Callable[..., Path], bibert: BertClassifier, codec: OptionsCodec) -> None:
    score = Score(metric="accuracy", value=90.0, examples=32)
    folder = pack(bibert, task="tiny", score=score, plugins={"a": "1"})
    packed = read_packed(folder, codec)
    (member,) = packed.members
    assert (member.architecture, member.spec) == (bibert.architecture, bibert.spec)
    assert (packed.task, packed.score, packed.plugins, packed.classes) == ("tiny", score, {"a": "1"}, CLASSES)
    assert packed.rule is None
    assert packed.file_bytes == (folder / TENSORS).stat().st_size
    state = bibert.state_dict()
    for prefix, matrix in member.matrices.items():
        branch = bibert.get_submodule(prefix.removesuffix("."))
        assert torch.equal(PackedMatrix(matrix).codes().decode(), branch.weight_quantizer(branch.weight))  # type: ignore[operator]
    for name, array in member.tensors.items():
        assert torch.equal(torch.from_numpy(array), state[name])
    assert {f"{prefix}weight" for prefix in member.matrices} | set(member.tensors) == set(state)


def test_members_of_an_ensemble_are_read(
    pack: Callable[..., Path], bibert: BertClassifier, codec: OptionsCodec, scheme_spec: Callable[..., QuantSpec]
) -> None:
    other = tiny_model(tiny_task(), scheme_spec("bit"), seed=3)
    packed = read_packed(pack(bibert, other), codec)
    assert packed.rule == WeightedProbabilityOptions()
    assert [member.weight for member in packed.members] == [1.0, 2.0]
    assert [member.spec for member in packed.members] == [bibert.spec, other.spec]
    for member, model in zip(packed.members, (bibert, other), strict=True):
        branch = model.get_submodule(BRANCH.removesuffix("."))
        expected = branch.weight_quantizer(branch.weight)  # type: ignore[operator]
        assert torch.equal(PackedMatrix(member.matrices[BRANCH]).codes().decode(), expected)


def test_a_regression_has_no_classes(pack: Callable[..., Path], codec: OptionsCodec) -> None:
    packed = read_packed(pack(tiny_model(tiny_task(regression=True), QuantSpec()), classes=()), codec)
    assert packed.classes == ()
    assert packed.members[0].architecture.classes == 1


@pytest.mark.parametrize(
    ("part", "value", "error"),
    [
        ("weight_step", np.float32("nan"), "not finite"),
        ("weight_step", np.float32("inf"), "not finite"),
        ("weight_step", np.float32(-1), "weight_step is negative"),
        ("bias", np.float32("nan"), "bias has values that are not finite"),
    ],
)
def test_scales_and_biases_that_may_not_be_are_refused(
    part: str,
    value: np.float32,
    error: str,
    packed: Path,
    codec: OptionsCodec,
) -> None:
    def damage(tensors: dict[str, Any], _: object) -> None:
        tensors[BRANCH + part].flat[3] = value

    rewrite(packed, damage)
    assert error in refused(packed, codec)


def _change(**changes: Any) -> Damage:  # noqa: ANN401
    """Replaces tensors of the pooler; None removes one."""

    def damage(tensors: dict[str, Any], _: object) -> None:
        for name, value in changes.items():
            if value is None:
                del tensors[BRANCH + name]
            else:
                tensors[BRANCH + name] = value

    return damage


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (_change(weight=None), f"{POOLER}, which is no tensor of the file"),
        (_change(weight_step=None), "weight_step is missing"),
        (_change(bias=None), "bias is missing"),
        (_change(more=np.zeros(1)), "more is no tensor of the model"),
        (_change(weight_step=np.zeros((16, 1), dtype=np.float64)), "weight_step is of type float64, expected float32"),
        (_change(weight_step=np.zeros(16, dtype=np.float32)), "weight_step has shape [16], expected [16, 1]"),
        (_change(weight_offset=np.zeros(16, dtype=np.float32)), "weight_offset has shape [16], expected [16, 1]"),
        (_change(bias=np.zeros((), dtype=np.float32)), "bias has shape [], expected [16]"),
        (_change(weight=np.zeros((16, 1, 16), dtype=np.uint8)), "weight has shape [16, 1, 16], expected [16, 1, 8]"),
        (_change(weight=np.zeros((16, 1, 8), dtype=np.int8)), "weight is of type int8, expected uint8"),
        (_change(weight=np.full((16, 1, 8), 255, dtype=np.uint8)), "bits beyond its 16 columns"),
    ],
)
def test_tensors_of_another_shape_or_type_are_refused(
    damage: Damage, error: str, packed: Path, codec: OptionsCodec
) -> None:
    rewrite(packed, damage)
    text = refused(packed, codec)
    assert error in text
    assert text.startswith(f"{packed / TENSORS}: ")


def test_an_index_above_the_alphabet_is_refused(pack: Callable[..., Path], codec: OptionsCodec) -> None:
    from bebertlab_binarybert.schemes import TernaryBert

    folder = pack(tiny_model(tiny_task(), TernaryBert().spec()))

    def damage(tensors: dict[str, Any], _: object) -> None:
        tensors[POOLER][2, :, 1] = 4

    rewrite(folder, damage)
    assert "an index above 2" in refused(folder, codec)


def test_a_scale_for_the_whole_matrix_is_read(packed: Path, codec: OptionsCodec) -> None:
    rewrite(packed, _change(weight_step=np.float32(0.5)))
    assert read_packed(packed, codec).members[0].matrices[BRANCH].step.shape == ()


def _section(**changes: Any) -> Damage:  # noqa: ANN401
    def damage(_: object, section: dict[str, Any]) -> None:
        section.update(changes)

    return damage


def _architecture(**changes: Any) -> Damage:  # noqa: ANN401
    def damage(_: object, section: dict[str, Any]) -> None:
        section["members"][0]["architecture"].update(changes)

    return damage


def _design(**changes: Any) -> Damage:  # noqa: ANN401
    def damage(_: object, section: dict[str, Any]) -> None:
        section["members"][0]["design"].update(changes)

    return damage


def _codes(**changes: Any) -> Damage:  # noqa: ANN401
    def damage(_: object, section: dict[str, Any]) -> None:
        section["codes"][POOLER].update(changes)

    return damage


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (_section(members=[]), "members"),
        (_section(members=7), "members"),
        (_section(rule={"kind": "mean_probability"}), "1 members with a rule"),
        (_section(codes={}), "is of type uint8, expected float32"),
        (_section(full_precision={"x": "y"}), "names x, which is no tensor"),
        (_section(vocabulary="0" * 64), "another vocabulary"),
        (_section(vocabulary=None), "vocabulary"),
        (_section(score={"metric": "a", "value": 1.0, "examples": 0}), "examples"),
        (_architecture(layers=10**7), "matrices, and it has"),
        (_architecture(layers=10**9), "layers"),
        (_architecture(layers=1), "is no"),
        (_architecture(hidden=10**7), "has"),
        (_architecture(ffn=10**7), "32 columns, expected 10000000"),
        (_architecture(heads=3), "16 columns, expected 24"),
        (_architecture(vocabulary=24), "shape"),
        (_architecture(positions=10**7), "shape"),
        (_architecture(classes=3), "id2label"),
        (_design(branches={"bert.pooler.dense": 10**9}), "matrices, and it has"),
        (_design(branches={"bert.pooler.dense": -1}), "expected at least 1"),
        (_design(branches={"nowhere": 1}), "no site 'nowhere'"),
        (_design(weights={}), "is no matrix of the model"),
        (_design(inputs={"pooler": {"kind": "no such"}}), "unknown quantizer"),
        (_codes(low=-3), "expected [16, 2, 8]"),
        (_codes(spacing=0), "spacing"),
        (_codes(low=5), "high must be low plus"),
        (_codes(high=10**30), "high"),
        (_codes(high=2**40 + 1), "bits"),
        (_codes(low=2**30, high=2**30 + 2), "float32"),
        (_codes(columns=15), "has 15 columns, expected 16"),
        (_codes(columns=10**12), "expected 16"),
        (_codes(columns=0), "columns"),
    ],
)
def test_a_section_that_does_not_fit_is_refused(damage: Damage, error: str, packed: Path, codec: OptionsCodec) -> None:
    rewrite(packed, damage)
    assert error in refused(packed, codec)


def test_bytes_that_changed_are_found_by_their_hash(packed: Path, codec: OptionsCodec) -> None:
    content = bytearray((packed / TENSORS).read_bytes())
    content[-300] ^= 1
    (packed / TENSORS).write_bytes(content)
    assert "another sha256" in refused(packed, codec)


def test_the_config_of_another_model_is_refused(packed: Path, pack: Callable[..., Path], codec: OptionsCodec) -> None:
    other = pack(tiny_model(tiny_task(), QuantSpec()), name="other")
    shutil.copyfile(other / "config.json", packed / "config.json")
    assert "another one than that which was written with the tensors" in refused(packed, codec)
    set_config(packed, model_type="bert")
    assert "model_type is bert, expected 'bebertlab-bert'" in refused(packed, codec)
    set_config(packed, model_type="bebertlab-bert", bebertlab=3)
    assert "bebertlab is 3, expected an object" in refused(packed, codec)


@pytest.mark.parametrize(("field", "error"), [("format", "format is"), ("bit_order", "bit_order is")])
def test_metadata_of_something_else_are_refused(field: str, error: str, packed: Path, codec: OptionsCodec) -> None:
    container = read_container(packed / TENSORS, packed)
    write_container(container.tensors, {**container.metadata, field: "x"}, packed / TENSORS)
    assert error in refused(packed, codec)


def test_another_version_of_the_format_is_refused_with_a_remedy(packed: Path, codec: OptionsCodec) -> None:
    container = read_container(packed / TENSORS, packed)
    write_container(container.tensors, {**container.metadata, "format_version": "2"}, packed / TENSORS)
    assert "pack the model again" in refused(packed, codec, OtherFormat)
    rewrite(packed, _section(format_version=2))
    assert "written by a newer bebertlab (format 2, this version reads 1)" in refused(packed, codec, OtherFormat)


def test_class_names_of_another_number_are_refused(packed: Path, codec: OptionsCodec) -> None:
    set_config(packed, id2label={"0": "a"}, label2id={"a": 0})
    assert "id2label" in refused(packed, codec)


def test_a_tokenizer_that_is_missing_or_another_one_is_named(packed: Path, codec: OptionsCodec) -> None:
    path = packed / "tokenizer.json"
    text = path.read_text(encoding="utf-8")
    data = json.loads(text)
    vocabulary = data["model"]["vocab"]
    swapped = {**vocabulary, "good": vocabulary["bad"], "bad": vocabulary["good"]}
    for changed, error in (({**vocabulary, "new": 23}, "go up to 23"), (swapped, "another vocabulary")):
        path.write_text(json.dumps({**data, "model": {**data["model"], "vocab": changed}}), encoding="utf-8")
        message = refused(packed, codec)
        assert error in message
        assert message.count(str(packed)) == 1
    path.write_text("{}", encoding="utf-8")
    message = refused(packed, codec)
    assert "not a readable tokenizer.json" in message
    assert message.count(str(packed)) == 1
    path.unlink()
    os.mkfifo(path)
    assert "tokenizer.json" in refused(packed, codec)
    path.unlink()
    (packed.parent / "elsewhere.json").write_text(text, encoding="utf-8")
    path.symlink_to("../elsewhere.json")
    assert "outside of the folder" in refused(packed, codec)
    path.unlink()
    assert "has no tokenizer.json" in refused(packed, codec, SetupError)


@pytest.mark.parametrize("name", [TENSORS, "config.json"])
def test_files_that_are_missing_or_links_out_of_the_folder_are_refused(
    name: str, packed: Path, codec: OptionsCodec
) -> None:
    (packed / name).rename(packed.parent / name)
    assert "no such file" in refused(packed, codec, SetupError)
    (packed / name).symlink_to(packed.parent / name)
    assert "outside of the folder" in refused(packed, codec)
    assert "no such folder" in refused(packed / "nowhere", codec, SetupError)


def test_members_that_do_not_belong_together_are_refused(ensemble: Path, codec: OptionsCodec) -> None:
    folder, copies = ensemble, iter(range(100))

    def damaged(damage: Damage) -> str:
        copy = folder.with_name(f"copy{next(copies)}")
        shutil.copytree(folder, copy)
        rewrite(copy, damage)
        return refused(copy, codec)

    def weigh(_: object, section: dict[str, Any]) -> None:
        section["members"][1]["weight"] = -1.0

    def weigh_nothing(_: object, section: dict[str, Any]) -> None:
        for member in section["members"]:
            member["weight"] = 0.0

    def twice(tensors: dict[str, Any], _: object) -> None:
        tensors[f"members.1.{BRANCH}bias"] = tensors[f"shared.{BRANCH}bias"]

    def stray(tensors: dict[str, Any], _: object) -> None:
        tensors["members.2.x"] = tensors[f"shared.{BRANCH}bias"]

    def apart(tensors: dict[str, Any], _: object) -> None:
        step = tensors.pop(f"members.0.{BRANCH}weight_step")
        del tensors[f"members.1.{BRANCH}weight_step"]
        tensors[f"shared.{BRANCH}weight_step"] = step

    def classes(_: object, section: dict[str, Any]) -> None:
        section["members"][1]["architecture"]["classes"] = 3

    assert "weight" in damaged(weigh)
    assert "no member has a weight above 0" in damaged(weigh_nothing)
    assert "there twice" in damaged(twice)
    assert "of no member" in damaged(stray)
    assert "is not stored where its planes are" in damaged(apart)
    assert "2 and 3 outputs" in damaged(classes)
    assert "2 members without a rule" in damaged(_section(rule=None))
    assert "regression" in damaged(_section(rule={"kind": "weighted_median"}))
    assert "rule" in damaged(_section(rule={"kind": "nothing"}))


def test_the_members_of_a_file_are_not_those_of_evolved_options(ensemble: Path, codec: OptionsCodec) -> None:
    first, second = read_packed(ensemble, codec).members
    assert not torch.equal(
        PackedMatrix(first.matrices[BRANCH]).codes().levels, PackedMatrix(second.matrices[BRANCH]).codes().levels
    )
    assert evolve(first, weight=2.0).architecture == second.architecture


def test_fields_of_a_later_writer_are_left_alone(ensemble: Path, codec: OptionsCodec) -> None:
    def damage(_: object, section: dict[str, Any]) -> None:
        section["later"] = {"any": [1, 2]}

    rewrite(ensemble, damage)
    file = read_packed(ensemble, codec)
    assert file.cascade is None
    assert file.contents.section["later"] == {"any": [1, 2]}


CASCADE = {
    "margin": 0.25,
    "tolerance": 0.1,
    "select": {"metric": "accuracy", "value": 90.0, "examples": 32},
    "full": {"metric": "accuracy", "value": 90.0, "examples": 32},
    "shares": [1.0, 0.25],
    "validation": {"metric": "accuracy", "value": 88.0, "examples": 16},
}


def test_a_cascade_is_read_where_it_fits(ensemble: Path, packed: Path, codec: OptionsCodec) -> None:
    def damage(shares: list[float]) -> Damage:
        return lambda _, section: section.update(cascade={**CASCADE, "shares": shares})

    rewrite(ensemble, damage([1.0, 0.25]))
    cascade = read_packed(ensemble, codec).cascade
    assert cascade is not None
    assert (cascade.margin, cascade.shares, cascade.validation.value) == (0.25, (1.0, 0.25), 88)
    rewrite(ensemble, damage([1.0, 0.5, 0.25]))
    assert "a cascade of 3 members, and 2 members" in refused(ensemble, codec)
    rewrite(packed, damage([1.0]))
    assert "a cascade of 1 members, and 1 members" in refused(packed, codec)
