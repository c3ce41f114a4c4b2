from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from attrs import evolve

from bebertlab.accounting.size import MEBIBYTE, model_size
from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import ModelTokenizer, read_tokenizer, set_maximum_tokens
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.folder import CONFIGURATION, TENSORS
from bebertlab.model.spec import quantizable_modules
from bebertlab.packed.read import read_packed
from bebertlab.packed.write import PackSource, write_again, write_packed
from bebertlab.testing.tiny import tiny_tokenizer
from bebertlab_bebert.merging import MeanProbabilityOptions


@pytest.fixture
def source(bibert: BertClassifier, tokenizer: ModelTokenizer) -> PackSource:
    return PackSource(models=[bibert], tokenizer=tokenizer)


def test_the_report_counts_the_bytes_on_the_disk(source: PackSource, codec: OptionsCodec, tmp_path: Path) -> None:
    report = write_packed(source, tmp_path / "new/deep/packed", codec)
    files = {path.name: path.stat().st_size for path in (tmp_path / "new/deep/packed").iterdir()}
    assert files.keys() == {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert report.file == files.pop(TENSORS)
    assert report.other == sum(files.values())
    assert report.positions == 0
    assert not report.full_precision


def test_packing_twice_gives_the_same_bytes(source: PackSource, codec: OptionsCodec, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_packed(source, tmp_path / name, codec)
    for name in (TENSORS, CONFIGURATION):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_positions_beyond_the_longest_input_are_left_out(
    source: PackSource, codec: OptionsCodec, tmp_path: Path
) -> None:
    folder = tiny_tokenizer(tmp_path / "tokenizer")
    set_maximum_tokens(folder, 12)
    report = write_packed(evolve(source, tokenizer=read_tokenizer(folder)), tmp_path / "packed", codec)
    assert report.positions == 20
    assert json.loads((tmp_path / "packed" / CONFIGURATION).read_text())["max_position_embeddings"] == 12
    (member,) = read_packed(tmp_path / "packed", codec).members
    assert member.architecture == evolve(source.models[0].architecture, positions=12)


def test_a_folder_with_something_in_it_is_left_as_it_is(
    source: PackSource, codec: OptionsCodec, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years")
    for force in (False, True):
        with pytest.raises(UserError, match="mine is not"):
            write_packed(source, tmp_path / "mine", codec, force=force)
    with pytest.raises(UserError, match="no folder"):
        write_packed(source, tmp_path / "mine/thesis.txt", codec, force=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "thesis.txt"]


def test_only_force_replaces_a_packed_model(source: PackSource, codec: OptionsCodec, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    write_packed(source, tmp_path / "packed", codec)
    with pytest.raises(UserError, match="replace a packed model by --force"):
        write_packed(evolve(source, task="other"), tmp_path / "packed", codec)
    assert read_packed(tmp_path / "packed", codec).task is None
    write_packed(evolve(source, task="other"), tmp_path / "packed", codec, force=True)
    assert read_packed(tmp_path / "packed", codec).task == "other"
    assert os.listdir(tmp_path) == ["packed"]


def test_nothing_is_left_of_a_model_that_does_not_pass_its_check(
    source: PackSource, codec: OptionsCodec, tmp_path: Path
) -> None:
    def check(folder: Path) -> None:
        assert read_packed(folder, codec).members
        raise UserError("answers differ")

    with pytest.raises(UserError, match="answers differ"):
        write_packed(source, tmp_path / "packed", codec, check=check)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(source: PackSource, codec: OptionsCodec, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot be written"):
        write_packed(source, tmp_path / "file/packed", codec)


def test_models_that_do_not_fit_together_are_refused(
    source: PackSource, codec: OptionsCodec, tmp_path: Path, tokenizer: ModelTokenizer
) -> None:
    (model,) = source.models
    sizes = model.architecture
    two = evolve(source, models=[model, model], weights=[1.0, 1.0])
    merged = evolve(two, rule=MeanProbabilityOptions())
    classes = evolve(sizes, classes=3)
    short = evolve(sizes, positions=8)
    small = evolve(sizes, vocabulary=5)
    cases: dict[str, PackSource] = {
        "no rule": two,
        "2 and 3 outputs": evolve(merged, models=[model, BertClassifier(classes, model.spec)]),
        "32 and 8 positions": evolve(merged, models=[model, BertClassifier(short, model.spec)]),
        "has 5 rows": evolve(source, models=[BertClassifier(small, model.spec)]),
    }
    for problem, wrong in cases.items():
        with pytest.raises(UserError, match=problem):
            write_packed(wrong, tmp_path / "packed", codec)


BASE = Architecture(vocabulary=30522, positions=512, hidden=768, heads=12, head_size=64, ffn=3072, layers=12, classes=2)
HALF = evolve(BASE, heads=6, ffn=1536)


@pytest.mark.slow  # seconds: a BERT-base is encoded
@pytest.mark.parametrize(
    ("kind", "sizes", "options", "members", "longest", "limit"),
    [
        ("bibert", BASE, {}, 1, 512, 15.5),
        ("bibert", BASE, {}, 1, 128, 15.0),
        ("bit", BASE, {}, 1, 128, 15.0),
        ("binarybert", HALF, {"activation_bits": 4}, 2, 128, 35.0),
        ("binarybert", HALF, {"activation_bits": 4}, 1, 128, 18.0),
    ],
)
def test_files_of_a_base_model_have_the_size_that_is_counted(
    kind: str,
    sizes: Architecture,
    options: dict[str, object],
    members: int,
    longest: int,
    limit: float,
    scheme_spec: Callable[..., QuantSpec],
    codec: OptionsCodec,
    tmp_path: Path,
) -> None:
    spec = scheme_spec(kind, **options)
    if kind == "binarybert":
        paths = (path for path, site in quantizable_modules(sizes).items() if site in spec.weights)
        spec = spec.with_branches(dict.fromkeys(paths, 2))
    folder = tiny_tokenizer(tmp_path / "tokenizer")
    set_maximum_tokens(folder, longest)
    models = [_distinct(sizes, spec, index) for index in range(members)]
    source = PackSource(models=models, tokenizer=read_tokenizer(folder), weights=[1.0] * members)
    rule = MeanProbabilityOptions() if members > 1 else None
    report = write_packed(evolve(source, rule=rule), tmp_path / "packed", codec)
    counted = members * model_size(meta_model(evolve(sizes, positions=longest), spec)).total_mebibytes
    assert report.file / MEBIBYTE == pytest.approx(counted, rel=0.02)
    assert report.file / MEBIBYTE < limit


def _distinct(sizes: Architecture, spec: QuantSpec, index: int) -> BertClassifier:
    """A model that shares no tensor with that of another index."""
    model = BertClassifier(sizes, spec)
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            values = torch.linspace(-1, 1, parameter.numel()).view(parameter.shape)
            parameter.copy_(values.roll(7 * index + number) * (index + 1))
    return model


def test_what_was_read_is_written_again_with_the_same_bytes(packed: Path, codec: OptionsCodec, tmp_path: Path) -> None:
    file = read_packed(packed, codec)
    write_again(file.contents, file.classes, file.tokenizer, tmp_path / "deep/again")
    for written in (tmp_path / "deep/again").iterdir():
        same = (
            written.read_text().replace("again", "packed")
            if written.name == "README.md"
            else written.read_text("latin1")
        )
        assert same == (packed / written.name).read_text("latin1")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["again"]


def test_writing_again_leaves_other_files_and_removes_another_tokenizer(
    packed: Path, codec: OptionsCodec, tmp_path: Path
) -> None:
    file = read_packed(packed, codec)
    for name in ("notes.txt", "vocab.txt", "tokenizer.json"):
        (tmp_path / "there").mkdir(exist_ok=True)
        (tmp_path / "there" / name).write_text("mine")
    write_again(file.contents, ("no", "yes"), file.tokenizer, tmp_path / "there")
    names = {path.name for path in (tmp_path / "there").iterdir()}
    assert names == {*(path.name for path in packed.iterdir()), "notes.txt"}
    assert (tmp_path / "there/notes.txt").read_text() == "mine"
    assert read_packed(tmp_path / "there", codec).classes == ("no", "yes")


def test_writing_again_checks_the_classes_first(packed: Path, codec: OptionsCodec, tmp_path: Path) -> None:
    file = read_packed(packed, codec)
    with pytest.raises(UserError, match="2 outputs, but 3 classes"):
        write_again(file.contents, ("a", "b", "c"), file.tokenizer, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_the_configuration_names_no_file_of_weights_that_another_loader_would_read(packed: Path) -> None:
    weights = json.loads((packed / CONFIGURATION).read_text())["transformers_weights"]
    assert "import bebertlab.hub" in weights
    assert not (packed / weights).exists()
