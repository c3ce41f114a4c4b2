from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.model.checkpoint import (
    full_precision_architecture,
    full_precision_checkpoint,
    random_checkpoint,
    random_tensor,
)
from bebertlab.model.huggingface import configuration

QUERY = "bert.encoder.layer.0.attention.self.query"


@pytest.fixture
def square(sizes: Architecture) -> Architecture:
    return evolve(sizes, heads=4, head_size=4)


@pytest.fixture
def tensors(square: Architecture) -> dict[str, Tensor]:
    return dict(random_checkpoint(square, seed=0, spread=0.3).tensors)


@pytest.fixture
def config(square: Architecture) -> dict[str, Any]:
    return configuration(square)


def test_weights_are_read_in_single_precision(
    square: Architecture, tensors: dict[str, Tensor], config: dict[str, Any]
) -> None:
    for dtype in (torch.float32, torch.float16, torch.float64):
        given = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        given |= {"cls.predictions.bias": torch.zeros(9), "bert.embeddings.position_ids": torch.arange(3)}
        actual = full_precision_checkpoint(given, config)
        assert (actual.architecture, actual.spec) == (square, QuantSpec())
        assert actual.tensors.keys() == tensors.keys()
        assert all(torch.equal(tensor, given[name].float()) for name, tensor in actual.tensors.items())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([f"{QUERY}.SCB"], "(as in quantized checkpoints)"),
        ([f"{QUERY}.weight_scale"], "(as in quantized checkpoints)"),
        ([f"{QUERY}.weight_scale_inv"], "(as in quantized checkpoints)"),
        ([f"{QUERY}.weight.absmax", f"{QUERY}.weight.quant_map"], "(as in quantized checkpoints)"),
        ([f"{QUERY}.weight.quant_state.bitsandbytes__nf4"], "(as in quantized checkpoints)"),
        ([f"{QUERY}.qweight", f"{QUERY}.qzeros", f"{QUERY}.scales"], "(as in quantized checkpoints)"),
        ([f"{QUERY}.zero_point", f"{QUERY}.scale"], "(as in quantized checkpoints)"),
        ([f"{QUERY}.input_scale"], "(as in quantized checkpoints)"),
        ([f"{QUERY}.weight._data", f"{QUERY}.weight._scale"], "(as in quantized checkpoints)"),
        ([f"{QUERY}.lora_A.default.weight"], "(of an adapter; merge it into the weights first)"),
        ([f"{QUERY}.base_layer.weight"], "(of an adapter; merge it into the weights first)"),
        (["classifier.modules_to_save.default.weight"], "(of an adapter; merge it into the weights first)"),
        (["bert.encoder.layer.0.crossattention.self.query.weight"], "(of a decoder)"),
        (["bert.encoder.layer.0.more"], "unexpected: bert.encoder.layer.0.more (1,)"),
    ],
)
def test_unused_tensors_are_refused_with_a_description(
    tensors: dict[str, Tensor], config: dict[str, Any], names: list[str], message: str
) -> None:
    with pytest.raises(UserError) as raised:
        full_precision_checkpoint(tensors | dict.fromkeys(names, torch.ones(1)), config)
    assert names[0] in str(raised.value)
    assert str(raised.value).endswith(message)


def test_shapes_are_checked_like_tensors(
    square: Architecture, tensors: dict[str, Tensor], config: dict[str, Any]
) -> None:
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    assert full_precision_architecture(shapes, config) == square
    with pytest.raises(UserError, match=r"unexpected: odd \(2,\)"):
        full_precision_architecture({**shapes, "odd": torch.Size([2])}, config)
    with pytest.raises(UserError, match="weight_bits is 1, so this is a quantized model"):
        full_precision_architecture(shapes, {**config, "weight_bits": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": ["BertForTokenClassification"]}, "whose classifier is not one of whole texts"),
        ({"num_hidden_layers": 10**7}, "num_hidden_layers is 10000000; the weights have"),
        ({"vocab_size": 10**7}, r"word_embeddings\.weight is .*, should be \(10000000, 16\)"),
        ({"quantization_config": {"quant_method": "awq"}}, r"quantization_config \(awq\)"),
    ],
)
def test_a_contradicting_configuration_is_refused(
    tensors: dict[str, Tensor], config: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        full_precision_checkpoint(tensors, config | change)


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (lambda name: f"student.{name}", "no tensor is called classifier.weight, so .*: all names begin with student."),
        (lambda name: name.replace("classifier", "qa_outputs"), "names begin with bert., qa_outputs."),
        (lambda name: name.replace("classifier", "classifier.0"), "names begin with bert., classifier."),
        (
            lambda name: name.replace("classifier", "cls"),
            "it is an encoder, which the encoder 'pretrained' starts from",
        ),
        (lambda name: name.replace("bert.", "roberta."), "no tensor is called bert.encoder.layer.0.*, roberta."),
    ],
)
def test_names_that_do_not_fit_are_described(
    tensors: dict[str, Tensor],
    config: dict[str, Any],
    rename: Callable[[str], str],
    message: str,
) -> None:
    with pytest.raises(UserError, match=message):
        full_precision_checkpoint({rename(name): tensor for name, tensor in tensors.items()}, config)


def test_two_names_for_one_tensor_are_refused(tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
    name = "bert.embeddings.LayerNorm.weight"
    for other in ("bert.embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"):
        with pytest.raises(UserError, match=f"are both called {name}"):
            full_precision_checkpoint(tensors | {other: tensors[name] + 1}, config)


def test_every_weight_depends_on_the_seed_alone(sizes: Architecture) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = random_checkpoint(sizes, seed=3).tensors
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    second, other = random_checkpoint(sizes, seed=3).tensors, random_checkpoint(sizes, seed=4).tensors
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [name for name in first if torch.equal(first[name], other[name]) and first[name].ndim == 2] == []


def test_initial_biases_are_0_norms_1_and_the_padding_row_0(sizes: Architecture) -> None:
    tensors = random_checkpoint(sizes, seed=0).tensors
    assert all(not tensor.any() for name, tensor in tensors.items() if name.endswith(".bias"))
    assert all((tensor == 1).all() for name, tensor in tensors.items() if name.endswith("LayerNorm.weight"))
    embeddings = tensors["bert.embeddings.word_embeddings.weight"]
    assert not embeddings[0].any()
    assert embeddings[1:].any(1).all()


def test_matrices_have_the_requested_standard_deviation() -> None:
    tensor = random_tensor("x.weight", torch.Size([200, 200]), torch.Generator().manual_seed(0), spread=0.5)
    assert abs(float(tensor.std()) - 0.5) < 0.01
