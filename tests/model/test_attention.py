from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from attrs import evolve
from torch import Tensor

from bebertlab.interfaces.architecture import ATTENTION_SITES, Architecture, QuantSpec, Site
from bebertlab.interfaces.batch import Tap
from bebertlab.model.attention import MASKED, SelfAttention, additive_mask
from bebertlab.model.module_factory import ModuleFactory

if TYPE_CHECKING:
    from tests.model.conftest import Rounding

PATH = "bert.encoder.layer.0.attention.self"
ALL = frozenset(Tap) - {Tap.HIDDEN}


def attention_of(sizes: Architecture, spec: QuantSpec | None = None) -> SelfAttention:
    return SelfAttention(ModuleFactory(sizes, spec or QuantSpec()), PATH)


def projections(sizes: Architecture) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    width = sizes.heads * sizes.head_size
    q, k, v = (torch.randn(2, 5, width, generator=generator, requires_grad=True) for _ in range(3))
    return q, k, v


def padded() -> Tensor:
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    return additive_mask(mask, torch.float32)


def kept(taps: frozenset[Tap] = frozenset()) -> dict[Tap, list[Tensor]]:
    return {tap: [] for tap in taps}


def test_the_context_of_two_tokens_by_hand(sizes: Architecture) -> None:
    attention = attention_of(evolve(sizes, heads=1, head_size=1))
    q, k, v = (torch.tensor([[[a], [b]]]) for a, b in ((1.0, 0.0), (0.0, math.log(3.0)), (10.0, 20.0)))
    mask = additive_mask(torch.tensor([[True, True]]), torch.float32)
    # token 0 looks with weights 1 : 3, token 1 with 1 : 1
    torch.testing.assert_close(attention.attend(q, k, v, mask, {}), torch.tensor([[[17.5], [15.0]]]))


def test_scores_are_scaled_and_masked_and_taps_agree(sizes: Architecture) -> None:
    attention = attention_of(sizes)
    q, k, v = projections(sizes)
    taps = kept(ALL)
    context = attention.attend(q, k, v, padded(), taps)
    by_head = [x.view(2, 5, sizes.heads, sizes.head_size).transpose(1, 2) for x in (q, k, v)]
    scores = by_head[0] @ by_head[1].transpose(2, 3) / math.sqrt(sizes.head_size) + padded()
    torch.testing.assert_close(taps[Tap.SCORES][0], scores)
    assert (taps[Tap.SCORES][0][1, :, :, 3:] < MASKED + 100).all()
    torch.testing.assert_close(taps[Tap.PROBABILITIES][0], scores.softmax(-1))
    for tap, x in zip((Tap.QUERY_SIMILARITY, Tap.KEY_SIMILARITY, Tap.VALUE_SIMILARITY), by_head, strict=True):
        torch.testing.assert_close(taps[tap][0], x @ x.transpose(2, 3) / math.sqrt(sizes.head_size))
    torch.testing.assert_close(context, (scores.softmax(-1) @ by_head[2]).transpose(1, 2).flatten(2))


def test_the_fused_way_gives_the_same_numbers_and_gradients(sizes: Architecture) -> None:
    attention = attention_of(sizes)
    results = []
    for taps in (frozenset[Tap](), frozenset({Tap.SCORES})):
        q, k, v = projections(sizes)
        context = attention.attend(q, k, v, padded(), kept(taps))
        results.append([context, *torch.autograd.grad(context.square().sum(), (q, k, v))])
    for fused, plain in zip(*results, strict=True):
        torch.testing.assert_close(fused, plain)


def test_masked_keys_change_nothing(sizes: Architecture) -> None:
    attention = attention_of(sizes)
    q, k, v = (x.detach() for x in projections(sizes))
    for taps in (frozenset[Tap](), ALL):
        before = attention.attend(q, k, v, padded(), kept(taps))
        moved = [x.clone().index_fill_(1, torch.tensor([3, 4]), 7.0) for x in (k, v)]
        after = attention.attend(q, moved[0], moved[1], padded(), kept(taps))
        assert torch.equal(before[1], after[1])
        assert not torch.equal(before[0], after[0])


def test_nothing_is_kept_that_was_not_asked_for(sizes: Architecture) -> None:
    for tap in ALL:
        taps = kept(frozenset({tap}))
        q, k, v = projections(sizes)
        attention_of(sizes).attend(q, k, v, padded(), taps)
        assert {name: len(values) for name, values in taps.items()} == {tap: 1}


def test_quantizers_sit_at_the_four_places(sizes: Architecture, rounding: type[Rounding]) -> None:
    attention = attention_of(sizes, QuantSpec(attention={site: rounding() for site in ATTENTION_SITES}))
    taps = kept(ALL)
    q, k, v = projections(sizes)
    context = attention.attend(q, k, v, padded(), taps)
    quantizers: dict[str, Any] = dict(attention.quantizers.items())
    heads = (2, sizes.heads, 5, sizes.head_size)
    shapes = {Site.ATTENTION_PROBABILITIES: (2, sizes.heads, 5, 5)}
    for site in ATTENTION_SITES:
        assert quantizers[site].calls == [shapes.get(site, heads)], site
        assert quantizers[site].shape == (() if site is Site.ATTENTION_PROBABILITIES else (sizes.head_size,))

    def quantized(x: Tensor) -> Tensor:
        return (x / 0.25).round() * 0.25

    by_head = [x.view(2, 5, sizes.heads, sizes.head_size).transpose(1, 2) for x in (q, k, v)]
    scores = quantized(by_head[0]) @ quantized(by_head[1]).transpose(2, 3) / math.sqrt(sizes.head_size) + padded()
    torch.testing.assert_close(taps[Tap.SCORES][0], scores)  # of quantized Q and K
    torch.testing.assert_close(taps[Tap.PROBABILITIES][0], scores.softmax(-1))  # not yet quantized
    similar = by_head[0] @ by_head[0].transpose(2, 3) / math.sqrt(sizes.head_size)
    torch.testing.assert_close(taps[Tap.QUERY_SIMILARITY][0], similar)  # of real-valued Q
    expected = quantized(scores.softmax(-1)) @ quantized(by_head[2])
    torch.testing.assert_close(context, expected.transpose(1, 2).flatten(2))


def test_dropout_is_for_training_only(sizes: Architecture) -> None:
    attention = attention_of(evolve(sizes, attention_dropout=0.9))
    q, k, v = projections(sizes)
    torch.manual_seed(0)
    first, second = (attention.train().attend(q, k, v, padded(), {}) for _ in range(2))
    assert not torch.equal(first, second)
    first, second = (attention.eval().attend(q, k, v, padded(), {}) for _ in range(2))
    assert torch.equal(first, second)


def test_probabilities_of_bfloat16_scores_are_in_float32(sizes: Architecture) -> None:
    attention = attention_of(sizes)
    taps = kept(frozenset({Tap.SCORES, Tap.PROBABILITIES}))
    q, k, v = (x.bfloat16() for x in projections(sizes))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        context = attention.attend(q, k, v, padded(), taps)
    (scores,), (probabilities,) = taps[Tap.SCORES], taps[Tap.PROBABILITIES]
    assert (scores.dtype, context.dtype) == (torch.bfloat16, torch.bfloat16)
    assert torch.equal(probabilities, scores.float().softmax(-1))
