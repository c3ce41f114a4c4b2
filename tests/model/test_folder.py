from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve
from safetensors.torch import load_file, save_file

from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.quantizer import TERNARY
from bebertlab.interfaces.stage import Codec
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.classes import read_class_names
from bebertlab.model.folder import describe_model, load_model, save_model
from bebertlab.model.quantizer_errors import BrokenQuantizer
from bebertlab.model.requantize import apply_spec
from bebertlab.registry.manager import load_plugins
from bebertlab_binarybert.lsq import Lsq


@pytest.fixture
def ordinary(sizes: Architecture) -> BertClassifier:
    """A full-precision model whose heads fill the hidden size."""
    checkpoint = random_checkpoint(evolve(sizes, heads=4, head_size=4), seed=0, spread=0.3)
    return BertClassifier.from_checkpoint(checkpoint)


def same(model: BertClassifier, other: BertClassifier, batch: Batch) -> bool:
    return (model.architecture, model.spec) == (other.architecture, other.spec) and torch.equal(
        model.eval()(batch).logits, other.eval()(batch).logits
    )


def test_a_model_whose_weights_have_other_levels_than_declared_is_not_written(
    quantized: Checkpoint, codec: Codec, tmp_path: Path
) -> None:
    model = BertClassifier.from_checkpoint(quantized)
    quantizer: Any = model.get_submodule("bert.pooler.dense.branches.0.weight_quantizer")
    quantizer.encode = lambda x: evolve(type(quantizer).encode(quantizer, x), alphabet=TERNARY)
    folder = tmp_path / "model"
    with pytest.raises(BrokenQuantizer, match=r"\(weights\.pooler, .*: encode\(\) returns codes of the alphabet -1"):
        save_model(model, folder, codec)
    assert not folder.exists()


def test_full_precision_is_a_hugging_face_folder(
    ordinary: BertClassifier, tmp_path: Path, codec: Codec, batch: Batch
) -> None:
    from transformers import BertForSequenceClassification

    save_model(ordinary, tmp_path, codec)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    theirs, report = BertForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    inputs = {"input_ids": batch.tokens, "token_type_ids": batch.segments, "attention_mask": batch.mask.long()}
    torch.testing.assert_close(theirs.eval()(**inputs).logits, ordinary.eval()(batch).logits, rtol=1e-5, atol=1e-5)
    assert same(load_model(tmp_path, codec), ordinary, batch)
    theirs.save_pretrained(tmp_path / "theirs")
    assert same(load_model(tmp_path / "theirs", codec), ordinary, batch)


def test_transformers_reads_the_names_of_the_classes(
    ordinary: BertClassifier, tmp_path: Path, codec: Codec, batch: Batch
) -> None:
    from transformers import AutoConfig, BertForSequenceClassification

    names = ("contradiction", "entailment", "\u00fcbrig")
    save_model(ordinary, tmp_path, codec, classes=names)
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.id2label == dict(enumerate(names))
    assert config.label2id == {name: output for output, name in enumerate(names)}
    theirs = BertForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(theirs.classifier.weight, ordinary.classifier.weight)
    theirs.save_pretrained(tmp_path / "theirs")
    assert read_class_names(tmp_path / "theirs" / "config.json", 3) == names


def test_bebertlab_folders_name_the_classes(quantized: Checkpoint, tmp_path: Path, codec: Codec) -> None:
    model = BertClassifier.from_checkpoint(quantized)
    names = ("a", "b", "A_b")
    save_model(model, tmp_path, codec, classes=names)
    assert (tmp_path / "bebertlab.json").is_file()
    assert read_class_names(tmp_path / "config.json", 3) == names
    with pytest.raises(UserError, match="has 3 outputs, but 2 classes are named"):
        save_model(model, tmp_path, codec, classes=names[:2])


def test_narrow_attention_needs_the_bebertlab_format(
    checkpoint: Checkpoint, tmp_path: Path, codec: Codec, batch: Batch
) -> None:
    model = BertClassifier.from_checkpoint(checkpoint)
    save_model(model, tmp_path, codec)
    assert (tmp_path / "bebertlab.json").is_file()
    assert same(load_model(tmp_path, codec), model, batch)


def test_quantized_models_are_read_back_complete(
    quantized: Checkpoint, everywhere: QuantSpec, tmp_path: Path, codec: Codec, batch: Batch
) -> None:
    spec = everywhere.with_branches({"bert.pooler.dense": 2})
    model = BertClassifier(quantized.architecture, evolve(spec, activation="relu"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(0.1, 0.9)
    save_model(model, tmp_path, codec)
    assert same(load_model(tmp_path, codec), model, batch)


def test_transformers_refuses_what_it_would_load_incompletely(
    quantized: Checkpoint, tmp_path: Path, codec: Codec
) -> None:
    from transformers import AutoModelForSequenceClassification

    save_model(BertClassifier.from_checkpoint(quantized), tmp_path, codec)
    with pytest.raises(ValueError, match="bebertlab"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path)


def test_a_model_is_described_without_its_tensors(
    quantized: Checkpoint, ordinary: BertClassifier, tmp_path: Path, codec: Codec
) -> None:
    for model in (BertClassifier.from_checkpoint(quantized), ordinary):
        folder = tmp_path / str(len(model.spec.weights))
        save_model(model, folder, codec)
        assert describe_model(folder, codec) == (model.architecture, model.spec)
    (folder / "config.json").unlink()
    with pytest.raises(SetupError, match=r"config\.json: no such file"):
        describe_model(folder, codec)


def test_a_learned_step_stays_learned(checkpoint: Checkpoint, tmp_path: Path, batch: Batch) -> None:
    from bebertlab.config.codec import OptionsCodec

    codec = OptionsCodec(load_plugins().registry)
    lsq = Lsq(bits=4)
    spec = QuantSpec(inputs={Site.QUERY: lsq}, attention={Site.ATTENTION_KEY: lsq})
    model = BertClassifier.from_checkpoint(apply_spec(checkpoint, spec))
    model.train()(batch)  # sets the steps
    save_model(model, tmp_path, codec)
    loaded = load_model(tmp_path, codec)
    stronger = evolve(batch, tokens=batch.tokens.flip(1))
    loaded.train()(stronger)  # would initialize them again if they counted as uninitialized
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())


def test_the_same_model_gives_the_same_bytes(quantized: Checkpoint, tmp_path: Path, codec: Codec) -> None:
    for name in "ab":
        save_model(BertClassifier.from_checkpoint(quantized), tmp_path / name, codec)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_tokenizer_is_written_next_to_the_model(ordinary: BertClassifier, tmp_path: Path, codec: Codec) -> None:
    from transformers import AutoTokenizer, BertTokenizer

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s"]
    tokenizer = BertTokenizer(vocab={token: index for index, token in enumerate(vocabulary)})
    save_model(ordinary, tmp_path, codec, tokenizer)
    assert AutoTokenizer.from_pretrained(tmp_path)("cats")["input_ids"] == [2, 5, 6, 3]


def test_missing_files_are_named(ordinary: BertClassifier, tmp_path: Path, codec: Codec) -> None:
    with pytest.raises(SetupError, match=r"nowhere.config\.json: no such file"):
        load_model(tmp_path / "nowhere", codec)
    save_model(ordinary, tmp_path, codec)
    (tmp_path / "config.json").unlink()
    with pytest.raises(SetupError, match=r"config\.json: no such file"):
        load_model(tmp_path, codec)


def test_missing_tensors_are_named_with_the_folder(ordinary: BertClassifier, tmp_path: Path, codec: Codec) -> None:
    save_model(ordinary, tmp_path, codec)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["bert.pooler.dense.bias"]
    save_file({**tensors, "odd": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(
        UserError, match=r"missing: bert\.pooler\.dense\.bias \(16,\); unexpected: odd \(1,\)"
    ) as raised:
        load_model(tmp_path, codec)
    assert str(raised.value).startswith(str(tmp_path))


def test_an_encoder_without_classifier_is_refused(ordinary: BertClassifier, tmp_path: Path, codec: Codec) -> None:
    save_model(ordinary, tmp_path, codec)
    tensors = load_file(tmp_path / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier")}
    save_file(kept, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="this is not a classifier"):
        load_model(tmp_path, codec)


def test_damaged_files_are_refused(quantized: Checkpoint, tmp_path: Path, codec: Codec) -> None:
    save_model(BertClassifier.from_checkpoint(quantized), tmp_path, codec)
    description = tmp_path / "bebertlab.json"
    good = json.loads(description.read_text())
    description.write_text(json.dumps(good | {"format": 99}))
    with pytest.raises(UserError, match="format 99, this version reads 1"):
        load_model(tmp_path, codec)
    description.write_text("{")
    with pytest.raises(UserError, match=r"bebertlab\.json: not valid JSON"):
        load_model(tmp_path, codec)
    description.write_text(json.dumps(good))
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04pickle")
    for read in (load_model, describe_model):
        with pytest.raises(UserError, match="not a readable safetensors file"):
            read(tmp_path, codec)


@pytest.fixture
def bebertlab_folder(quantized: Checkpoint, tmp_path: Path, codec: Codec) -> Path:
    """The folder of a model that only bebertlab reads."""
    save_model(BertClassifier.from_checkpoint(quantized), tmp_path / "own", codec)
    return tmp_path / "own"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": None}, "without a format number, this version reads 1"),
        ({"architecture": None}, "expected a mapping (vocabulary, "),
        ({"architecture": {"layers": None}}, "layers"),
        ({"architecture": {"layers": 10**7}}, "architecture.layers is 10000000; the weights have 2"),
        ({"architecture": {"hidden": 10**400}}, "hidden"),
        ({"design": None}, ""),
        ({"design": []}, ""),
        ({"design": {"weights": {"query": {"kind": "of-a-plugin"}}}}, "unknown quantizer 'of-a-plugin'"),
        ({"design": {"weights": {"nowhere": {"kind": "sign-like"}}}}, "nowhere"),
        ({"design": {"branches": {"bert.nowhere": 2}}}, ""),
    ],
)
def test_an_invalid_description_is_refused_in_one_line(
    bebertlab_folder: Path, codec: Codec, change: dict[str, object], message: str
) -> None:
    description = bebertlab_folder / "bebertlab.json"
    good = json.loads(description.read_text())
    sizes = change.get("architecture")
    changed = {**change, "architecture": {**good["architecture"], **sizes}} if isinstance(sizes, dict) else change
    description.write_text(json.dumps(good | changed))
    for read in (load_model, describe_model):
        with pytest.raises(UserError) as raised:
            read(bebertlab_folder, codec)
        text = str(raised.value)
        assert (raised.value.exit_code, len(text.splitlines())) == (2, 1)
        assert text.startswith(str(bebertlab_folder))
        assert "bebertlab.json" in text
        assert message in text


def test_a_description_and_a_configuration_belong_together(bebertlab_folder: Path, codec: Codec) -> None:
    config = json.loads((bebertlab_folder / "config.json").read_text())
    (bebertlab_folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(
        UserError, match=r"bebertlab\.json does not belong to config\.json, which has model_type 'bert'"
    ):
        load_model(bebertlab_folder, codec)
    (bebertlab_folder / "config.json").write_text(json.dumps(config))
    (bebertlab_folder / "bebertlab.json").unlink()
    with pytest.raises(SetupError, match=r"bebertlab\.json: no such file, but config\.json is of a model that needs"):
        load_model(bebertlab_folder, codec)


def test_tensors_of_another_type_are_refused_in_bebertlab_folders(bebertlab_folder: Path, codec: Codec) -> None:
    tensors = load_file(bebertlab_folder / "model.safetensors")
    for dtype, message in (
        (torch.int8, "is of type int8; expected float32 or"),
        (torch.complex64, "is of type complex64"),
    ):
        save_file(
            tensors | {"classifier.bias": tensors["classifier.bias"].to(dtype)}, bebertlab_folder / "model.safetensors"
        )
        for read in (load_model, describe_model):
            with pytest.raises(UserError, match=rf"own.model\.safetensors: classifier\.bias {message}"):
                read(bebertlab_folder, codec)
    save_file(tensors | {"classifier.bias": tensors["classifier.bias"].half()}, bebertlab_folder / "model.safetensors")
    assert load_model(bebertlab_folder, codec).classifier.bias.dtype == torch.float32


def test_numbers_that_are_not_finite_are_refused(
    bebertlab_folder: Path, ordinary: BertClassifier, codec: Codec
) -> None:
    save_model(ordinary, bebertlab_folder.parent / "ordinary", codec)
    for folder in (bebertlab_folder, bebertlab_folder.parent / "ordinary"):
        tensors = load_file(folder / "model.safetensors")
        tensors["classifier.bias"][0] = torch.nan
        save_file(tensors, folder / "model.safetensors")
        with pytest.raises(UserError, match=r"classifier\.bias has values that are not finite") as raised:
            load_model(folder, codec)
        assert str(folder / "model.safetensors") in str(raised.value)


def test_other_weight_file_formats_are_read(
    ordinary: BertClassifier, tmp_path: Path, codec: Codec, batch: Batch
) -> None:
    save_model(ordinary, tmp_path, codec)
    tensors = {f"module.{name}": tensor for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    (tmp_path / "model.safetensors").unlink()
    torch.save({"state_dict": tensors}, tmp_path / "pytorch_model.bin")
    assert describe_model(tmp_path, codec) == (ordinary.architecture, ordinary.spec)
    assert same(load_model(tmp_path, codec), ordinary, batch)
    (tmp_path / "pytorch_model.bin").unlink()
    save_file(tensors, tmp_path / "shard.safetensors")
    index = {"weight_map": dict.fromkeys(tensors, "shard.safetensors")}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert describe_model(tmp_path, codec) == (ordinary.architecture, ordinary.spec)
    assert same(load_model(tmp_path, codec), ordinary, batch)


def test_an_adapter_is_not_a_model(ordinary: BertClassifier, tmp_path: Path, codec: Codec) -> None:
    save_model(ordinary, tmp_path, codec)
    (tmp_path / "adapter_config.json").write_text("{}")
    for read in (load_model, describe_model):
        with pytest.raises(
            UserError, match=r"has adapter_config\.json, so it holds an adapter for another model; merge"
        ):
            read(tmp_path, codec)
