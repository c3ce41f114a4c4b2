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
def test_a_model_trains_under_it(scheme: SchemeOptions) -> None:
    model = tiny_model(tiny_task(), scheme.design()).train()
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
    weights = scheme.design().weights
    assert set(weights) == set(WEIGHT_SITES)
    assert weights[Site.WORD_EMBEDDING].build(torch.Size([4, 8])).row_wise


@pytest.mark.parametrize("scheme", [XnorScheme, IrnetScheme, ReactScheme])
def test_signs_leave_the_attention_probabilities_alone(
    scheme: type[XnorScheme] | type[IrnetScheme] | type[ReactScheme],
) -> None:
    design = scheme().design()
    assert set(design.inputs) == set(LINEAR_SITES)
    assert set(design.attention) == set(ATTENTION_SITES) - {PROBABILITIES}
    assert {options.build(torch.Size([8])).bits for options in design.inputs.values()} == {1}
    weights_only = scheme(activation_bits=32).design()
    assert not weights_only.inputs
    assert not weights_only.attention
    assert weights_only.weights == design.weights


def test_dorefa_is_unsigned_where_nothing_is_negative() -> None:
    design = DorefaScheme(weight_bits=3, activation_bits=2).design()
    assert design.activation == "relu"
    assert design.weights[Site.POOLER] == Dorefa(bits=3, unit_range=False)
    assert design.weights[Site.WORD_EMBEDDING] == Dorefa(bits=3, unit_range=False, granularity="row")
    assert design.inputs[Site.FFN_DOWN] == design.attention[PROBABILITIES] == DorefaActivation(bits=2)
    assert design.inputs[Site.FFN_UP] == DorefaActivation(bits=2, signed=True)


def test_pact_learns_its_clips_from_a_start() -> None:
    design = PactScheme(clip=4.0).design()
    assert design.weights[Site.QUERY] == Dorefa(bits=4, unit_range=False)
    assert design.inputs[Site.FFN_DOWN] == Pact(clip=4.0)
    assert design.inputs[Site.QUERY] == design.attention[Site.ATTENTION_KEY] == Pact(clip=4.0, signed=True)
    assert design.attention[PROBABILITIES] == Pact(clip=1.0)


def test_bitnet_quantizes_linear_layers_only() -> None:
    design = BitnetScheme().design()
    assert design.weights[Site.FFN_DOWN] == Bitnet()
    assert set(design.inputs) == set(LINEAR_SITES)
    assert not design.attention


@pytest.mark.parametrize("scheme", [XnorScheme, IrnetScheme, ReactScheme, DorefaScheme, PactScheme])
def test_as_published_reaches_every_quantizer_that_knows_it(scheme: type[XnorScheme]) -> None:
    design = scheme(as_published=True).design()
    told = [*design.weights.values(), *design.inputs.values(), *design.attention.values()]
    known = [one for one in told if hasattr(one, "as_published")]
    assert set(design.weights.values()) <= set(known)
    assert all(getattr(one, "as_published", True) for one in known)
    assert XnorScheme(as_published=True).design().inputs[Site.POOLER] == Xnor(as_published=True)


@pytest.mark.parametrize("bits", [0, 5, 16])
def test_bits_that_no_one_packs_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="weight_bits"):
        DorefaScheme(weight_bits=bits)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="activation_bits"):
        PactScheme(activation_bits=bits)  # type: ignore[arg-type]
