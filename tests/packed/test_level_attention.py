from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.inference.modules import ExactAttention
from bebertlab.inference.prepare import prepare
from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.kernels.rows import RowKernels
from bebertlab.model.attention import additive_mask
from bebertlab.packed.level_attention import AttentionBuffers, LevelAttention
from bebertlab.packed.level_values import Values
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.uniform import Uniform
from bebertlab_bit import Elastic

pytest.importorskip("llvmlite")

BATCH, TOKENS = 2, 21


@pytest.fixture
def attention(scheme_spec: Callable[..., QuantSpec]) -> Callable[[Mapping[Site, QuantizerOptions]], ExactAttention]:
    def build(quantizers: Mapping[Site, QuantizerOptions]) -> ExactAttention:
        spec = scheme_spec("binarybert")
        model = tiny_model(tiny_task(), evolve(spec, attention={**spec.attention, **quantizers})).eval()
        module = prepare(model).network.get_submodule("bert.encoder.layer.0.attention.self")
        assert isinstance(module, ExactAttention)
        return module

    return build


def computed(module: ExactAttention, scale: float = 1.0, shortest: int = 5) -> tuple[Tensor | None, Tensor]:
    """The context by generated code, and by the module."""
    generator, width = torch.Generator().manual_seed(1), module.heads * module.head_size
    kernels, projections = RowKernels(max(width, TOKENS)), []
    for _ in range(3):
        projections.append(Values(kernels, scale * torch.randn(BATCH, TOKENS, width, generator=generator)))
    mask = additive_mask(torch.arange(TOKENS)[None] < torch.tensor([[TOKENS], [shortest]]), torch.float32).contiguous()
    buffers = AttentionBuffers.of(BATCH, TOKENS, module.heads, module.head_size)
    generated = LevelAttention.of(module)
    with torch.no_grad():
        context = None if generated is None else generated(projections, mask, buffers, None)
        query, key, value = (values.tensor for values in projections)
        expected = module.attend(query, key, value, mask, {})
    if context is not None:
        extremes = context.extremes(None)
        assert extremes is not None
        assert list(extremes) == [end.item() for end in expected.aminmax()]
    return None if context is None else context.tensor, expected


SITES = (Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE)


# without masked keys no probability is 0, so that the levels of probabilities have an offset
@pytest.mark.parametrize("shortest", [5, TOKENS])
@pytest.mark.parametrize(
    "quantizers",
    [
        {},
        {Site.ATTENTION_PROBABILITIES: Uniform(symmetric=True)},
        dict.fromkeys(SITES, Uniform(bits=4, clip=0.5)),
    ],
)
def test_contexts_are_those_of_the_module(
    attention: Callable[..., ExactAttention], quantizers: dict[Site, QuantizerOptions], shortest: int
) -> None:
    context, expected = computed(attention(quantizers), shortest=shortest)
    assert context is not None
    assert torch.equal(context, expected)


@pytest.mark.parametrize(
    "quantizers",
    [
        {Site.ATTENTION_VALUE: Uniform(symmetric=False)},  # an offset
        {Site.ATTENTION_QUERY: Uniform(bits=16)},  # sums of more bits than float32 holds
        {Site.ATTENTION_KEY: Lsq()},  # a step that is not set
        {Site.ATTENTION_PROBABILITIES: Lsq()},
        {Site.ATTENTION_VALUE: Elastic()},  # signs
    ],
)
def test_nothing_is_computed_where_there_is_no_grid(
    attention: Callable[..., ExactAttention], quantizers: dict[Site, QuantizerOptions]
) -> None:
    assert computed(attention(quantizers))[0] is None


def test_nothing_is_computed_of_what_is_not_finite(attention: Callable[..., ExactAttention]) -> None:
    assert computed(attention({}), scale=torch.inf)[0] is None


def test_a_site_without_quantizer_or_softmax_is_left_to_the_module(
    attention: Callable[..., ExactAttention], scheme_spec: Callable[..., QuantSpec]
) -> None:
    module = attention({})
    del module.quantizers[Site.ATTENTION_KEY]
    assert LevelAttention.of(module) is None
    model = tiny_model(tiny_task(), evolve(scheme_spec("binarybert"), softmax=False)).eval()
    without = prepare(model).network.get_submodule("bert.encoder.layer.0.attention.self")
    assert isinstance(without, ExactAttention)
    assert LevelAttention.of(without) is None
