from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.batch import Batch
from bebertlab.model.bert import BertClassifier
from bebertlab.testing.tiny import tiny_task
from bebertlab_encoders.pretrained import PretrainedEncoder

WEIGHTS = "model.safetensors"


def encoder(folder: Path, *, layers: int | None = None, maximum_tokens: int = 16) -> PretrainedEncoder:
    return PretrainedEncoder(name=str(folder), layers=layers, maximum_tokens=maximum_tokens)


def rewritten(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def test_everything_but_the_classifier_is_read_from_the_files(pretrained: Path) -> None:
    given = load_file(pretrained / WEIGHTS)
    checkpoint = encoder(pretrained).checkpoint(vocabulary=9, classes=2, seed=0)
    assert checkpoint.tensors["classifier.weight"].shape == (2, 8)
    assert checkpoint.architecture.classes == 2
    kept = [name for name in checkpoint.tensors if not name.startswith("classifier.")]
    assert all(torch.equal(checkpoint.tensors[name], given[name]) for name in kept)
    BertClassifier.from_checkpoint(checkpoint)


def test_only_the_classifier_depends_on_the_seed(pretrained: Path) -> None:
    first, again, other = (encoder(pretrained).checkpoint(9, 2, seed).tensors for seed in (0, 0, 1))
    assert torch.equal(first["classifier.weight"], again["classifier.weight"])
    assert [name for name in first if not torch.equal(first[name], other[name])] == ["classifier.weight"]


def test_the_first_layers_can_be_kept(pretrained: Path) -> None:
    checkpoint = encoder(pretrained, layers=2).checkpoint(9, 2, 0)
    assert checkpoint.architecture.layers == 2
    assert not any(".layer.2." in name for name in checkpoint.tensors)
    with pytest.raises(UserError, match="layers is 4; the checkpoint has 3"):
        encoder(pretrained, layers=4).checkpoint(9, 2, 0)


def test_old_names_bare_encoders_and_missing_poolers_load(pretrained: Path) -> None:
    given = load_file(pretrained / WEIGHTS)
    old = {
        name.removeprefix("bert.").replace("LayerNorm.weight", "LayerNorm.gamma"): tensor
        for name, tensor in given.items()
        if name.startswith("bert.") and "pooler" not in name
    }
    rewritten(pretrained, old | {"cls.predictions.bias": torch.zeros(9), "embeddings.position_ids": torch.arange(16)})
    tensors = encoder(pretrained).checkpoint(9, 2, 0).tensors
    name = "bert.encoder.layer.1.output.LayerNorm.weight"
    assert torch.equal(tensors[name], given[name])
    assert tensors["bert.pooler.dense.weight"].any()


def test_half_precision_becomes_full(pretrained: Path) -> None:
    rewritten(pretrained, {name: tensor.half() for name, tensor in load_file(pretrained / WEIGHTS).items()})
    tensors = encoder(pretrained).checkpoint(9, 2, 0).tensors
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_missing_and_misshapen_tensors_are_named(pretrained: Path) -> None:
    tensors = load_file(pretrained / WEIGHTS)
    del tensors["bert.encoder.layer.0.output.dense.bias"]
    rewritten(pretrained, tensors)
    with pytest.raises(UserError, match=r"encoder '.*': .*missing: bert\.encoder\.layer\.0\.output\.dense\.bias"):
        encoder(pretrained).checkpoint(9, 2, 0)
    config = json.loads((pretrained / "config.json").read_text())
    (pretrained / "config.json").write_text(json.dumps(config | {"intermediate_size": 10}))
    with pytest.raises(UserError, match=r"intermediate\.dense\.weight is \(12, 8\), should be \(10, 8\)"):
        encoder(pretrained).checkpoint(9, 2, 0)


def test_weights_of_old_files_are_read_without_running_code(pretrained: Path, tmp_path: Path) -> None:
    expected = encoder(pretrained).checkpoint(9, 2, 0)
    torch.save(load_file(pretrained / WEIGHTS), pretrained / "pytorch_model.bin")
    (pretrained / WEIGHTS).unlink()
    checkpoint = encoder(pretrained).checkpoint(9, 2, 0)
    assert all(torch.equal(checkpoint.tensors[name], expected.tensors[name]) for name in expected.tensors)

    class Harm:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "harm",))

    (pretrained / "pytorch_model.bin").write_bytes(pickle.dumps({"x": Harm()}, protocol=2))
    with pytest.raises(UserError, match="refused: it holds code or objects"):
        encoder(pretrained).checkpoint(9, 2, 0)
    assert not (tmp_path / "harm").exists()


def test_shards_are_combined(pretrained: Path) -> None:
    expected = encoder(pretrained).checkpoint(9, 2, 0)
    tensors = load_file(pretrained / WEIGHTS)
    (pretrained / WEIGHTS).unlink()
    names = {name: f"model-0000{position % 2 + 1}-of-00002.safetensors" for position, name in enumerate(tensors)}
    for shard in set(names.values()):
        save_file({name: tensors[name] for name in tensors if names[name] == shard}, pretrained / shard)
    (pretrained / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    checkpoint = encoder(pretrained).checkpoint(9, 2, 0)
    assert all(torch.equal(checkpoint.tensors[name], expected.tensors[name]) for name in expected.tensors)


def test_a_vocabulary_larger_than_the_embedding_is_refused(pretrained: Path) -> None:
    with pytest.raises(UserError, match="the ids of its tokens go up to 9, the word embedding has 9 rows"):
        encoder(pretrained).checkpoint(10, 2, 0)


def test_inputs_longer_than_the_positions_are_refused(pretrained: Path) -> None:
    with pytest.raises(UserError, match="maximum_tokens is 17; the checkpoint has 16 positions"):
        encoder(pretrained, maximum_tokens=17).checkpoint(9, 2, 0)


def test_the_tokenizer_is_read_from_the_files(pretrained: Path) -> None:
    tokenizer = encoder(pretrained).tokenizer(["other words"])
    assert len(tokenizer) == 9
    assert tokenizer.tokenizer.encode("Cats RUN").ids == [2, 5, 6, 8, 3]
    tokenizer.save_pretrained(pretrained)
    again = encoder(pretrained).tokenizer([])
    assert again.tokenizer.encode("Cats RUN").ids == [2, 5, 6, 8, 3]


def test_a_cased_vocabulary_stays_cased(pretrained: Path) -> None:
    (pretrained / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    assert encoder(pretrained).tokenizer([]).tokenizer.encode("Cat cat").ids == [2, 1, 5, 3]


def test_without_settings_the_vocabulary_determines_lower_casing(pretrained: Path) -> None:
    (pretrained / "tokenizer_config.json").unlink()
    assert encoder(pretrained).tokenizer([]).tokenizer.encode("Cat").ids == [2, 5, 3]
    vocabulary = (pretrained / "vocab.txt").read_text().replace("dog", "Cat")
    (pretrained / "vocab.txt").write_text(vocabulary)
    assert encoder(pretrained).tokenizer([]).tokenizer.encode("Cat cat").ids == [2, 7, 5, 3]


def test_a_plan_has_the_sizes_and_refuses_inputs_that_do_not_fit(pretrained: Path) -> None:
    task, pairs = tiny_task(), tiny_task(pairs=True)
    assert encoder(pretrained, layers=2).plan(pairs) == encoder(pretrained, layers=2).checkpoint(9, 2, 0).architecture
    config = json.loads((pretrained / "config.json").read_text())
    (pretrained / "config.json").write_text(json.dumps(config | {"type_vocab_size": 1}))
    assert encoder(pretrained).plan(task).segments == 1
    with pytest.raises(
        UserError, match=r"encoder '.*': .*: the checkpoint has 1 segment embedding .*, pairs of texts need"
    ):
        encoder(pretrained).plan(pairs)
    with pytest.raises(UserError, match=r"has 16 positions, so set encoder\.maximum_tokens to 16 or less"):
        encoder(pretrained, maximum_tokens=17).plan(task)
    (pretrained / "config.json").write_text(json.dumps(config | {"vocab_size": 8}))
    with pytest.raises(UserError, match="the ids of its tokens go up to 8, the word embedding has 8 rows"):
        encoder(pretrained).plan(task)


def test_a_tokenizer_without_tokens_is_refused(pretrained: Path) -> None:
    (pretrained / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    with pytest.raises(UserError, match="has no words"):
        encoder(pretrained).tokenizer([])


def test_the_digest_depends_on_the_files(pretrained: Path) -> None:
    before = encoder(pretrained).digest()
    assert encoder(pretrained, layers=1).digest() == before  # the options enter the key themselves
    rewritten(pretrained, {name: tensor + 1 for name, tensor in load_file(pretrained / WEIGHTS).items()})
    assert encoder(pretrained).digest() != before


def test_a_missing_model_is_named() -> None:
    with pytest.raises(SetupError, match=r"encoder '\./nowhere'"):
        PretrainedEncoder(name="./nowhere").digest()


def refused(folder: Path) -> str:
    """The error messages when a recipe is planned, and when it runs."""
    texts = set()
    for read in (lambda: encoder(folder).digest(), lambda: encoder(folder).checkpoint(9, 2, 0)):
        with pytest.raises(UserError) as raised:
            read()
        assert (raised.value.exit_code, len(str(raised.value).splitlines())) == (2, 1)
        texts.add(str(raised.value))
    (text,) = texts
    return text


def reconfigured(folder: Path, change: dict[str, object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"quantization_config": {"quant_method": "bitsandbytes"}},
            "config.json has quantization_config (bitsandbytes)",
        ),
        ({"model_type": "roberta"}, "model_type is 'roberta'; only 'bert' is supported"),
        ({"model_type": "bebertlab"}, "with a stage `load`"),
        ({"weight_bits": 1}, "weight_bits is 1, so this is a quantized model of published code"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'; supported are gelu, relu"),
        ({"num_hidden_layers": 2}, "num_hidden_layers is 2; the weights have 3"),
        ({"num_hidden_layers": 10**7}, "num_hidden_layers is 10000000; the weights have 3"),
        ({"vocab_size": 10**7}, "wrong shape: bert.embeddings.word_embeddings.weight is (9, 8), should be"),
        ({"vocab_size": 10**400}, "vocab_size is over 10000000, which no BERT has"),
    ],
)
def test_other_models_are_refused_when_the_recipe_is_planned(
    pretrained: Path, change: dict[str, object], message: str
) -> None:
    reconfigured(pretrained, change)
    assert message in (text := refused(pretrained))
    assert text.startswith(f"encoder '{pretrained}': {pretrained}: ")


@pytest.mark.parametrize("head", ["BertForTokenClassification", "BertForQuestionAnswering", "BertForMaskedLM"])
def test_the_encoder_below_any_head_is_read(pretrained: Path, head: str) -> None:
    expected = encoder(pretrained).checkpoint(9, 2, 0).tensors
    reconfigured(pretrained, {"architectures": [head], "id2label": {"0": "a"}})
    rewritten(pretrained, load_file(pretrained / WEIGHTS) | {"qa_outputs.weight": torch.ones(2, 8)})
    checkpoint = encoder(pretrained).checkpoint(9, 2, 0).tensors
    assert all(torch.equal(checkpoint[name], tensor) for name, tensor in expected.items())


QUERY = "bert.encoder.layer.2.attention.self.query"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            {f"{QUERY}.SCB": torch.ones(8)},
            "unexpected: bert.encoder.layer.2.attention.self.query.SCB (8,) (as in quant",
        ),
        ({f"{QUERY}.weight_scale": torch.ones(1)}, "query.weight_scale (1,) (as in quantized checkpoints)"),
        ({f"{QUERY}.lora_A.default.weight": torch.ones(2, 8)}, "(of an adapter; merge it into the weights first)"),
        ({f"{QUERY}.weight": torch.ones(8, 8, dtype=torch.int8)}, "query.weight is of type int8; expected one of"),
        ({f"{QUERY}.weight": torch.ones(8, 8).to(torch.float8_e4m3fn)}, "is of type float8_e4m3fn; expected one of"),
        ({"embeddings.LayerNorm.gamma": torch.ones(8)}, "are both called bert.embeddings.LayerNorm.weight"),
    ],
)
def test_unused_tensors_are_refused(pretrained: Path, tensors: dict[str, torch.Tensor], message: str) -> None:
    rewritten(pretrained, load_file(pretrained / WEIGHTS) | tensors)
    assert message in refused(pretrained)


def test_a_partial_pooler_is_refused(pretrained: Path) -> None:
    tensors = load_file(pretrained / WEIGHTS)
    del tensors["bert.pooler.dense.bias"]
    rewritten(pretrained, tensors)
    assert "missing: bert.pooler.dense.bias (8,)" in refused(pretrained)


def test_weights_of_another_model_are_described(pretrained: Path) -> None:
    tensors = load_file(pretrained / WEIGHTS)
    rewritten(pretrained, {f"student.{name}": tensor for name, tensor in tensors.items()})
    assert refused(pretrained).endswith("no tensor is called bert.encoder.layer.0...: all names begin with student.")
    rewritten(pretrained, {f"model._orig_mod.{name}": tensor for name, tensor in tensors.items()})
    assert encoder(pretrained).checkpoint(9, 2, 0).tensors.keys() == tensors.keys()


def test_an_adapter_is_refused(pretrained: Path) -> None:
    (pretrained / "config.json").rename(pretrained / "adapter_config.json")
    assert "holds an adapter for another model" in refused(pretrained)


@pytest.mark.skipif("BEBERTLAB_PRETRAINED" not in os.environ, reason="BEBERTLAB_PRETRAINED names no BERT folder")
def test_a_real_model_equals_transformers() -> None:
    from transformers import AutoTokenizer, BertModel

    folder = os.environ["BEBERTLAB_PRETRAINED"]
    real = PretrainedEncoder(name=folder)
    texts = ["A film of rare charm.", "No."]
    tokenizer = real.tokenizer([])
    model = BertClassifier.from_checkpoint(real.checkpoint(len(tokenizer), 2, 0)).eval()
    encoded = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    assert tokenizer.tokenizer.encode(texts[0]).ids == encoded["input_ids"][0].tolist()
    batch = Batch(
        positions=torch.arange(2),
        tokens=encoded["input_ids"],
        segments=encoded["token_type_ids"],
        mask=encoded["attention_mask"].bool(),
        labels=torch.zeros(2, dtype=torch.int64),
    )
    theirs = BertModel.from_pretrained(folder).eval()
    with torch.no_grad():
        torch.testing.assert_close(model.bert(batch, {}), theirs(**encoded).pooler_output, rtol=1e-4, atol=1e-5)
