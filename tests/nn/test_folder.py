from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from attrs import evolve
from safetensors.torch import load_file, save_file

from bebertlab.errors import EnvironmentFault, UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint, Design, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.stage import Codec
from bebertlab.manager import load_plugins
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.classes import read_class_names
from bebertlab.nn.folder import describe_model, load_model, read_json, read_safetensors, save_model
from bebertlab.nn.initial import random_checkpoint
from bebertlab.nn.surgery import redesign
from bebertlab_binarybert.lsq import Lsq


@pytest.fixture
def ordinary(sizes: Architecture) -> BertClassifier:
    """A full-precision model whose heads fill the hidden size."""
    checkpoint = random_checkpoint(evolve(sizes, heads=4, head_size=4), seed=0, spread=0.3)
    return BertClassifier.from_checkpoint(checkpoint)


def same(model: BertClassifier, other: BertClassifier, batch: Batch) -> bool:
    return (model.architecture, model.design) == (other.architecture, other.design) and torch.equal(
        model.eval()(batch).logits, other.eval()(batch).logits
    )


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


def test_our_own_folders_name_the_classes_too(quantized: Checkpoint, tmp_path: Path, codec: Codec) -> None:
    model = BertClassifier.from_checkpoint(quantized)
    names = ("a", "b", "A_b")
    save_model(model, tmp_path, codec, classes=names)
    assert (tmp_path / "bebertlab.json").is_file()
    assert read_class_names(tmp_path / "config.json", 3) == names
    with pytest.raises(UserError, match="has 3 outputs, but 2 classes are named"):
        save_model(model, tmp_path, codec, classes=names[:2])


def test_narrow_attention_needs_our_own_file(
    checkpoint: Checkpoint, tmp_path: Path, codec: Codec, batch: Batch
) -> None:
    model = BertClassifier.from_checkpoint(checkpoint)
    save_model(model, tmp_path, codec)
    assert (tmp_path / "bebertlab.json").is_file()
    assert same(load_model(tmp_path, codec), model, batch)


def test_quantized_models_come_back_whole(
    quantized: Checkpoint, everywhere: Design, tmp_path: Path, codec: Codec, batch: Batch
) -> None:
    design = everywhere.with_branches({"bert.pooler.dense": 2})
    model = BertClassifier(quantized.architecture, evolve(design, activation="relu"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(0.1, 0.9)
    save_model(model, tmp_path, codec)
    assert same(load_model(tmp_path, codec), model, batch)


def test_transformers_refuses_what_it_would_load_by_half(quantized: Checkpoint, tmp_path: Path, codec: Codec) -> None:
    from transformers import AutoModelForSequenceClassification

    save_model(BertClassifier.from_checkpoint(quantized), tmp_path, codec)
    with pytest.raises(ValueError, match="bebertlab"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path)


def test_a_model_is_described_without_its_tensors(
    quantized: Checkpoint, ordinary: BertClassifier, tmp_path: Path, codec: Codec
) -> None:
    for model in (BertClassifier.from_checkpoint(quantized), ordinary):
        folder = tmp_path / str(len(model.design.weights))
        save_model(model, folder, codec)
        assert describe_model(folder, codec) == (model.architecture, model.design)
    (folder / "config.json").unlink()
    with pytest.raises(EnvironmentFault, match=r"config\.json: no such file"):
        describe_model(folder, codec)


def test_a_learned_step_stays_learned(checkpoint: Checkpoint, tmp_path: Path, batch: Batch) -> None:
    from bebertlab.config.codec import OptionsCodec

    codec = OptionsCodec(load_plugins().registry)
    lsq = Lsq(bits=4)
    design = Design(inputs={Site.QUERY: lsq}, attention={Site.ATTENTION_KEY: lsq})
    model = BertClassifier.from_checkpoint(redesign(checkpoint, design))
    model.train()(batch)  # sets the steps
    save_model(model, tmp_path, codec)
    loaded = load_model(tmp_path, codec)
    stronger = evolve(batch, tokens=batch.tokens.flip(1))
    loaded.train()(stronger)  # would set them anew if they counted as unset
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())


def test_the_same_model_gives_the_same_bytes(quantized: Checkpoint, tmp_path: Path, codec: Codec) -> None:
    for name in "ab":
        save_model(BertClassifier.from_checkpoint(quantized), tmp_path / name, codec)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_tokenizer_is_written_beside_the_model(ordinary: BertClassifier, tmp_path: Path, codec: Codec) -> None:
    from transformers import AutoTokenizer, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s"]
    tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(words)})
    save_model(ordinary, tmp_path, codec, tokenizer)
    assert AutoTokenizer.from_pretrained(tmp_path)("cats")["input_ids"] == [2, 5, 6, 3]


def test_what_is_missing_is_named(ordinary: BertClassifier, tmp_path: Path, codec: Codec) -> None:
    with pytest.raises(EnvironmentFault, match=r"nowhere.model\.safetensors: no such file"):
        load_model(tmp_path / "nowhere", codec)
    save_model(ordinary, tmp_path, codec)
    (tmp_path / "config.json").unlink()
    with pytest.raises(EnvironmentFault, match=r"config\.json: no such file"):
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
    with pytest.raises(UserError, match="this is no classifier"):
        load_model(tmp_path, codec)


def test_damaged_files_are_refused(quantized: Checkpoint, tmp_path: Path, codec: Codec) -> None:
    save_model(BertClassifier.from_checkpoint(quantized), tmp_path, codec)
    surgery = tmp_path / "bebertlab.json"
    good = json.loads(surgery.read_text())
    surgery.write_text(json.dumps(good | {"format": 99}))
    with pytest.raises(UserError, match="format 99; this version reads 1"):
        load_model(tmp_path, codec)
    surgery.write_text("{")
    with pytest.raises(UserError, match=r"bebertlab\.json: not valid JSON"):
        load_model(tmp_path, codec)
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04pickle")
    for read in (load_model, describe_model):
        with pytest.raises(UserError, match="not a readable safetensors file"):
            read(tmp_path, codec)


def test_readers_say_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UserError, match="a JSON object is needed, found list"):
        read_json(tmp_path / "list.json")
    with pytest.raises(EnvironmentFault, match="no such file"):
        read_safetensors(tmp_path / "none.safetensors")
