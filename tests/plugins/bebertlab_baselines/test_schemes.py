from __future__ import annotations

import pytest
import torch

from bebertlab.api import ATTENTION_SITES, LINEAR_SITES, WEIGHT_SITES, SchemeOptions, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_baselines import (
    Bitnet,
    BitnetScheme,
    Dorefa,
    DorefaActivation,
    DorefaScheme,
    IrnetScheme,
    Pact,
    PactScheme,
    ReactScheme,
    Xnor,
    XnorScheme,
)

SCHEMES = [
    BitnetScheme(),
    DorefaScheme(weight_bits=2),
    DorefaScheme(),
    IrnetScheme(),
    IrnetScheme(activation_bits=32),
    PactScheme(),
    ReactScheme(),
    XnorScheme(),
]
PROBABILITIES = Site.ATTENTION_PROBABILITIES


@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
def test_a_model_trains_with_the_scheme(scheme: SchemeOptions) -> None:
    model = tiny_model(tiny_task(), scheme.spec()).train()
    tokens = torch.randint(1, 20, (4, 6), generator=torch.Generator().manual_seed(0))
    ones = torch.ones_like(tokens)
    batch = Batch(positions=torch.arange(4), tokens=tokens, segments=ones * 0, mask=ones.bool(), labels=ones[:, 0])
    logits = model(batch).logits
    torch.autograd.backward(logits.square().sum())
    assert logits.isfinite().all()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
def test_every_weight_is_quantized_and_the_word_embedding_by_rows(scheme: SchemeOptions) -> None:
    weights = scheme.spec().weights
    assert set(weights) == set(WEIGHT_SITES)
    assert weights[Site.WORD_EMBEDDING].build(torch.Size([4, 8])).row_wise


@pytest.mark.parametrize("scheme", [XnorScheme, IrnetScheme, ReactScheme])
def test_attention_probabilities_have_no_sign_quantizer(
    scheme: type[XnorScheme] | type[IrnetScheme] | type[ReactScheme],
) -> None:
    spec = scheme().spec()
    assert set(spec.inputs) == set(LINEAR_SITES)
    assert set(spec.attention) == set(ATTENTION_SITES) - {PROBABILITIES}
    assert {options.build(torch.Size([8])).bits for options in spec.inputs.values()} == {1}
    weights_only = scheme(activation_bits=32).spec()
    assert not weights_only.inputs
    assert not weights_only.attention
    assert weights_only.weights == spec.weights


def test_dorefa_is_unsigned_for_non_negative_values() -> None:
    spec = DorefaScheme(weight_bits=3, activation_bits=2).spec()
    assert spec.activation == "relu"
    assert spec.weights[Site.POOLER] == Dorefa(bits=3, unit_range=False)
    assert spec.weights[Site.WORD_EMBEDDING] == Dorefa(bits=3, unit_range=False, granularity="row")
    assert spec.inputs[Site.FFN_DOWN] == spec.attention[PROBABILITIES] == DorefaActivation(bits=2)
    assert spec.inputs[Site.FFN_UP] == DorefaActivation(bits=2, signed=True)


def test_pact_learns_its_clips_from_the_start_value() -> None:
    spec = PactScheme(clip=4.0).spec()
    assert spec.weights[Site.QUERY] == Dorefa(bits=4, unit_range=False)
    assert spec.inputs[Site.FFN_DOWN] == Pact(clip=4.0)
    assert spec.inputs[Site.QUERY] == spec.attention[Site.ATTENTION_KEY] == Pact(clip=4.0, signed=True)
    assert spec.attention[PROBABILITIES] == Pact(clip=1.0)


def test_bitnet_quantizes_linear_layers_only() -> None:
    spec = BitnetScheme().spec()
    assert spec.weights[Site.FFN_DOWN] == Bitnet()
    assert set(spec.inputs) == set(LINEAR_SITES)
    assert not spec.attention


@pytest.mark.parametrize("scheme", [XnorScheme, IrnetScheme, ReactScheme, DorefaScheme, PactScheme])
def test_as_published_reaches_every_quantizer_with_that_option(scheme: type[XnorScheme]) -> None:
    spec = scheme(as_published=True).spec()
    notified = [*spec.weights.values(), *spec.inputs.values(), *spec.attention.values()]
    known = [item for item in notified if hasattr(item, "as_published")]
    assert set(spec.weights.values()) <= set(known)
    assert all(getattr(item, "as_published", True) for item in known)
    assert XnorScheme(as_published=True).spec().inputs[Site.POOLER] == Xnor(as_published=True)


@pytest.mark.parametrize("bits", [0, 5, 16])
def test_bits_that_cannot_be_packed_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="weight_bits"):
        DorefaScheme(weight_bits=bits)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="activation_bits"):
        PactScheme(activation_bits=bits)  # type: ignore[arg-type]
