from __future__ import annotations

from typing import Any

import pytest
import torch

from bebertlab.api import ATTENTION_SITES, LINEAR_SITES, WEIGHT_SITES, Checkpoint, QuantSpec, Site
from bebertlab.model.requantize import apply_spec
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_bit import Bit, CentredSign, Elastic

ONE_SIDED = {Site.ATTENTION_PROBABILITIES, Site.FFN_DOWN}


def test_weights_have_one_scale_and_word_embeddings_one_per_row() -> None:
    weights = Bit().spec().weights
    assert set(weights) == set(WEIGHT_SITES)
    assert weights[Site.WORD_EMBEDDING] == CentredSign(granularity="row")
    assert {weights[site] for site in LINEAR_SITES} == {CentredSign(granularity="tensor")}
    turned = Bit(matrix_granularity="row", embedding_granularity="tensor").spec().weights
    assert turned[Site.WORD_EMBEDDING] == CentredSign(granularity="tensor")
    assert turned[Site.POOLER] == CentredSign(granularity="row")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_activations_are_one_sided_after_softmax_and_relu_and_shifted_at_linear_inputs(bits: Any) -> None:  # noqa: ANN401
    spec = Bit(activation_bits=bits).spec()
    assert spec.inputs == {s: Elastic(bits=bits, signed=s not in ONE_SIDED, shift=True) for s in LINEAR_SITES}
    assert spec.attention == {s: Elastic(bits=bits, signed=s not in ONE_SIDED) for s in ATTENTION_SITES}
    assert spec.activation == "relu"


def test_sign_quantizers_can_be_chosen() -> None:
    spec = Bit(signed=False, one_sided_signed=True).spec()
    signed = {site for site, options in {**spec.inputs, **spec.attention}.items() if options.signed}  # type: ignore[attr-defined]
    assert signed == ONE_SIDED


def test_probabilities_can_stay_in_full_precision() -> None:
    assert set(Bit(quantize_probabilities=False).spec().attention) == set(ATTENTION_SITES) - {
        Site.ATTENTION_PROBABILITIES
    }


def test_the_centred_sign_can_quantize_activations() -> None:
    spec = Bit(activations="bwn").spec()
    assert set(spec.inputs.values()) == {CentredSign(shift=True)}
    assert set(spec.attention.values()) == {CentredSign()}


def test_32_bits_are_full_precision() -> None:
    assert Bit(weight_bits=32, activation_bits=32).spec() == QuantSpec(activation="relu")
    assert not Bit(activation_bits=32).spec().inputs
    assert not Bit(weight_bits=32).spec().weights


def test_as_published_reaches_every_binary_site() -> None:
    spec = Bit(as_published=True, keep_scale=False).spec()
    everything: list[Any] = [*spec.weights.values(), *spec.inputs.values(), *spec.attention.values()]
    assert all(options.as_published for options in everything)
    assert not any(options.keep_scale for options in spec.inputs.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": 2}, "weight_bits"),
        ({"activation_bits": 17}, "activation_bits"),
        ({"activations": "lsq"}, "'activations' must be 'elastic' or 'bwn', got 'lsq'"),
        ({"activations": "bwn", "activation_bits": 2}, "'activation_bits' is 2"),
        ({"embedding_granularity": "column"}, "embedding_granularity"),
    ],
)
def test_unsupported_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bit(**options)


def trained(scheme: Bit) -> Checkpoint:
    """A model under a scheme, with every number of its quantizers moved."""
    checkpoint = apply_spec(tiny_model(tiny_task(), seed=1).checkpoint(), scheme.spec())
    for name, tensor in checkpoint.tensors.items():
        if name.endswith((".shift", ".scale")):
            tensor.add_(3)
        if name.endswith(".initialised"):
            tensor.fill_(True)
    return checkpoint


@pytest.mark.parametrize("keep_scale", [False, True])
def test_the_next_step_of_a_chain_keeps_shifts_and_scales_by_default(keep_scale: bool) -> None:
    source = trained(Bit(activation_bits=2))
    result = apply_spec(source, Bit(keep_scale=keep_scale).spec()).tensors
    same = {name for name, tensor in result.items() if torch.equal(tensor, source.tensors[name])}
    kept = {name.rsplit(".", 1)[1] for name in same if "quantizer" in name}
    assert kept == ({"shift", "scale", "initialised"} if keep_scale else {"shift"})
    fresh = apply_spec(trained(Bit(activation_bits=2)), Bit(activations="bwn").spec()).tensors
    assert not any(tensor.any() for name, tensor in fresh.items() if name.endswith(".shift"))  # of another quantizer
