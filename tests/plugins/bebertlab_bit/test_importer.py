from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import BertClassifier, Checkpoint, QuantSpec, Site, UserError
from bebertlab.model.huggingface import configuration
from bebertlab.model.requantize import apply_spec
from bebertlab.testing import check_importer
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_bit import Bit, BitImporter, CentredSign, Elastic

SELF = "bert.encoder.layer.0.attention.self"
SETTINGS = {"weight_bits": 1, "input_bits": 1, "weight_quant_method": "bwn", "input_quant_method": "elastic"}


@pytest.fixture
def bebertlab_model() -> Checkpoint:
    """A model under the scheme, every number of its quantizers another one."""
    checkpoint = apply_spec(tiny_model(tiny_task(), seed=3).checkpoint(), Bit().spec())
    for position, (name, tensor) in enumerate(checkpoint.tensors.items()):
        if name.endswith((".scale", ".shift")):
            tensor.add_(position)
        if name.endswith(".initialised"):
            tensor.fill_(True)
    return checkpoint


@pytest.fixture
def config(bebertlab_model: Checkpoint) -> dict[str, Any]:
    return {**configuration(bebertlab_model.architecture), **SETTINGS}


@pytest.fixture
def published(bebertlab_model: Checkpoint) -> dict[str, Tensor]:
    """The same model as the published code stores it, with what no forward pass of it reads."""
    actual = {}
    for name, tensor in bebertlab_model.tensors.items():
        if name.endswith(".initialised"):
            continue
        theirs = name.replace("branches.0.input_quantizer.shift", "move.bias")
        theirs = theirs.replace("branches.0.input_quantizer.scale", "input_clip_val").replace("branches.0.", "")
        theirs = re.sub(r"quantizers\.attention_(\w+)\.scale", r"clip_\1", theirs).replace("probabilities", "attn")
        actual[theirs] = tensor.clone()
    dead = {f"{SELF}.move_{x}.bias": torch.full((bebertlab_model.architecture.hidden,), 9.0) for x in "qkv"}
    return {**actual, **dead, "bert.embeddings.position_ids": torch.arange(32)[None]}


def test_every_tensor_is_imported(
    bebertlab_model: Checkpoint, published: dict[str, Tensor], config: dict[str, Any]
) -> None:
    actual = BitImporter().read(published, config)
    assert (actual.architecture, actual.spec) == (bebertlab_model.architecture, bebertlab_model.spec)
    assert actual.tensors.keys() == bebertlab_model.tensors.keys()
    assert all(torch.equal(tensor, bebertlab_model.tensors[name]) for name, tensor in actual.tensors.items())
    BertClassifier.from_checkpoint(actual)


def test_a_scale_of_1_is_not_initialized(published: dict[str, Tensor], config: dict[str, Any]) -> None:
    published[f"{SELF}.query.input_clip_val"] = torch.ones(1)  # some versions store a dimension
    published[f"{SELF}.clip_attn"] = torch.tensor(1.0)
    tensors = BitImporter().read(published, config).tensors
    unset = {name for name, tensor in tensors.items() if name.endswith(".initialised") and not tensor}
    assert unset == {
        f"{SELF}.query.branches.0.input_quantizer.initialised",
        f"{SELF}.quantizers.attention_probabilities.initialised",
    }
    assert tensors[f"{SELF}.query.branches.0.input_quantizer.scale"].shape == ()


def test_tensors_are_copies_in_single_precision(published: dict[str, Tensor], config: dict[str, Any]) -> None:
    doubled = {name: tensor.double() for name, tensor in published.items()}
    tensors = BitImporter().read(doubled, config).tensors
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32, torch.bool}
    same = BitImporter().read(published, config).tensors["classifier.weight"]
    assert same.data_ptr() != published["classifier.weight"].data_ptr()


@pytest.mark.parametrize(
    ("settings", "scheme"),
    [
        ({"input_bits": 4}, Bit(activation_bits=4)),
        ({"input_bits": 3}, Bit(activation_bits=3)),
        ({"not_quantize_attention": True}, Bit(quantize_probabilities=False)),
        ({"weight_layerwise": False}, Bit(matrix_granularity="row")),
        ({"embed_layerwise": True}, Bit(embedding_granularity="tensor")),
        ({"sym_quant_qkvo": False, "sym_quant_ffn_attn": True}, Bit(signed=False, one_sided_signed=True)),
        ({"weight_bits": 32}, Bit(weight_bits=32)),
    ],
)
def test_settings_can_be_given_on_the_command_line(
    published: dict[str, Tensor], config: dict[str, Any], settings: dict[str, Any], scheme: Bit
) -> None:
    assert BitImporter().read(published, {**config, **settings}).spec == scheme.spec()


def test_tensors_unused_at_these_bits_are_omitted(published: dict[str, Tensor], config: dict[str, Any]) -> None:
    plain = BitImporter().read(published, {**config, "weight_bits": 32, "input_bits": 32})
    assert plain.spec == QuantSpec(activation="relu")
    published[f"{SELF}.query.weight_clip_val"] = torch.ones(2)
    BitImporter().read(published, config)


def test_the_hidden_activation_is_that_of_the_checkpoint(published: dict[str, Tensor], config: dict[str, Any]) -> None:
    actual = BitImporter().read(published, {**config, "hidden_act": "gelu"})
    assert actual.spec.activation == actual.architecture.activation == "gelu"


def test_activations_may_be_centred(published: dict[str, Tensor], config: dict[str, Any]) -> None:
    actual = BitImporter(as_published=True).read(published, {**config, "input_quant_method": "bwn"})
    assert actual.spec.inputs[Site.QUERY] == CentredSign(shift=True, as_published=True)
    assert not any(name.endswith(".scale") for name in actual.tensors)
    assert actual.tensors[f"{SELF}.query.branches.0.input_quantizer.shift"].any()


def test_zeros_as_published(published: dict[str, Tensor], config: dict[str, Any]) -> None:
    actual = BitImporter(as_published=True).read(published, config).spec
    assert actual.inputs[Site.QUERY] == Elastic(shift=True, as_published=True)
    assert actual.weights[Site.QUERY] == CentredSign(as_published=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_bits": 2}, "config.json: 'weight_bits' must be in"),
        ({"input_bits": 17}, "config.json: 'activation_bits' must be in"),
        ({"input_bits": "1"}, "config.json: input_bits is '1'; expected an integer"),
        ({"weight_quant_method": "twn"}, "weight_quant_method is 'twn'; only 'bwn' is supported"),
        ({"input_quant_method": "lsq"}, "config.json: 'activations' must be 'elastic' or 'bwn', got 'lsq'"),
        ({"input_layerwise": False}, "input_layerwise is false"),
        ({"num_hidden_layers": 5}, "num_hidden_layers is 5; the weights have 2"),
        ({"architectures": ["BertForMultipleChoice"]}, "whose classifier is not one of whole texts"),
        ({"vocab_size": 7}, "wrong shape: bert.embeddings.word_embeddings.weight"),
    ],
)
def test_settings_that_contradict_are_refused(
    published: dict[str, Tensor], config: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        BitImporter().read(published, {**config, **settings})


@pytest.mark.parametrize("lost", ["weight_bits", "input_bits"])
def test_missing_bits_are_requested(published: dict[str, Tensor], config: dict[str, Any], lost: str) -> None:
    with pytest.raises(UserError, match=rf"config\.json lacks {lost}, but \S+ belongs to a quantized model"):
        BitImporter().read(published, {name: value for name, value in config.items() if name != lost})


def test_other_checkpoints_are_refused_by_their_names(published: dict[str, Tensor], config: dict[str, Any]) -> None:
    del published[f"{SELF}.query.move.bias"]
    published["bert.pooler.dense_1.weight"] = torch.zeros(2, 2)
    with pytest.raises(UserError, match=r"missing: \S+query\.move\.bias .*unexpected: bert\.pooler\.dense_1\.weight"):
        BitImporter().read(published, config)
    with pytest.raises(UserError, match="this is not a classifier"):
        BitImporter().read({}, config)


def test_keeps_the_contract_of_importers(published: dict[str, Tensor], config: dict[str, Any]) -> None:
    check_importer(BitImporter(), published, config)
