from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import ATTENTION_SITES, Architecture, Checkpoint, QuantSpec, Site
from bebertlab.interfaces.batch import Batch, Tap
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.interfaces.stage import Codec
from bebertlab.model.attention import MASKED, SelfAttention, additive_mask
from bebertlab.model.bert import BertClassifier
from bebertlab.model.folder import load_model, save_model
from bebertlab.model.module_factory import ModuleFactory
from bebertlab.model.requantize import apply_spec
from bebertlab.registry.manager import load_plugins
from bebertlab_bibert import Bool, Sign

if TYPE_CHECKING:
    from tests.conftest import Golden
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


def test_the_context_of_two_tokens_matches_manual_calculation(sizes: Architecture) -> None:
    attention = attention_of(evolve(sizes, heads=1, head_size=1))
    q, k, v = (torch.tensor([[[a], [b]]]) for a, b in ((1.0, 0.0), (0.0, math.log(3.0)), (10.0, 20.0)))
    mask = additive_mask(torch.tensor([[True, True]]), torch.float32)
    # token 0 attends with weights 1 : 3, token 1 with 1 : 1
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


def test_masked_keys_have_no_effect(sizes: Architecture) -> None:
    attention = attention_of(sizes)
    q, k, v = (x.detach() for x in projections(sizes))
    for taps in (frozenset[Tap](), ALL):
        before = attention.attend(q, k, v, padded(), kept(taps))
        moved = [x.clone().index_fill_(1, torch.tensor([3, 4]), 7.0) for x in (k, v)]
        after = attention.attend(q, moved[0], moved[1], padded(), kept(taps))
        assert torch.equal(before[1], after[1])
        assert not torch.equal(before[0], after[0])


def test_only_requested_taps_are_recorded(sizes: Architecture) -> None:
    for tap in ALL:
        taps = kept(frozenset({tap}))
        q, k, v = projections(sizes)
        attention_of(sizes).attend(q, k, v, padded(), taps)
        assert {name: len(values) for name, values in taps.items()} == {tap: 1}


def test_quantizers_apply_at_the_four_sites(sizes: Architecture, rounding: type[Rounding]) -> None:
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


@pytest.fixture(scope="module")
def registered() -> Codec:
    """Knows every shipped part."""
    return OptionsCodec(load_plugins().registry)


def spec_of(signs: QuantizerOptions, select: QuantizerOptions) -> QuantSpec:
    sites = (Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE)
    return QuantSpec(attention={**dict.fromkeys(sites, signs), Site.ATTENTION_PROBABILITIES: select}, softmax=False)


def bi_attention_of(
    heads: int, head_size: int, signs: Sign, select: Bool | None = None, dropout: float = 0.0
) -> SelfAttention:
    sizes = Architecture(
        vocabulary=5,
        positions=9,
        hidden=4,
        heads=heads,
        head_size=head_size,
        ffn=4,
        layers=1,
        classes=2,
        attention_dropout=dropout,
    )
    return SelfAttention(ModuleFactory(sizes, spec_of(signs, select or Bool())), PATH)


def attend(attention: SelfAttention, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Context and scores."""
    taps: dict[Tap, list[Tensor]] = {Tap.SCORES: []}
    return attention.attend(q, k, v, additive_mask(mask, torch.float32), taps), taps[Tap.SCORES][0]


def everything(tokens: int) -> Tensor:
    return torch.ones(1, tokens, dtype=torch.bool)


def test_the_context_of_three_tokens_matches_manual_calculation() -> None:
    attention = bi_attention_of(1, 2, Sign())
    q = torch.tensor([[[1.0, 2.0], [3.0, -1.0], [-1.0, -1.0]]])
    k = torch.tensor([[[5.0, 1.0], [1.0, -1.0], [2.0, 2.0]]])
    v = torch.tensor([[[1.0, -1.0], [2.0, 2.0], [3.0, -3.0]]])
    context, scores = attend(attention, q, k, v, everything(3))
    # ++ agrees with the first and the third key, +- with the second; -- with none of them
    assert context.tolist() == [[[2.0, -2.0], [1.0, 1.0], [0.0, 0.0]]]
    assert torch.allclose(scores[0, 0] * math.sqrt(2), torch.tensor([[2.0, 0, 2], [0, 2, 0], [-2, 0, -2]]))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("head_size", [2, 5, 6, 16, 32, 64, 96])
@pytest.mark.parametrize("autocast", [False, True])
def test_the_sign_of_a_sum_is_exact(head_size: int, scaled: bool, autocast: bool) -> None:
    generator = torch.Generator().manual_seed(head_size)
    q, k, v = (torch.randn(2, 40, head_size, generator=generator) for _ in range(3))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        context, scores = attend(
            bi_attention_of(1, head_size, Sign(scaled=scaled)), q, k, v, torch.ones(2, 40, dtype=torch.bool)
        )
    sums = q.sign().long() @ k.sign().long().transpose(1, 2)
    assert torch.equal(scores[:, 0].sign().long(), sums.sign())
    selected = (sums > 0).long() @ v.sign().long()
    assert torch.equal(context.sign().long(), selected.sign())
    scale = q.abs().mean() * k.abs().mean() if scaled else torch.tensor(1.0)
    expected = (sums / math.sqrt(head_size) * scale)[:, None]
    torch.testing.assert_close(scores.float(), expected, rtol=1e-2 if autocast else 1e-5, atol=0.0)
    times = v.abs().mean() if scaled else torch.tensor(1.0)
    torch.testing.assert_close(context.float(), selected * times, rtol=1e-2 if autocast else 1e-5, atol=0.0)


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.5]), st.booleans(), st.booleans())
def test_masked_keys_are_never_selected(seed: int, dropout: float, as_in_paper: bool, scaled: bool) -> None:
    attention = bi_attention_of(2, 3, Sign(scaled=scaled), Bool(as_in_paper=as_in_paper), dropout).train()
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(3, 5, 6, generator=generator) for _ in range(3))
    mask = torch.rand(3, 5, generator=generator) > 0.5
    seen = []
    attention.quantizers[Site.ATTENTION_PROBABILITIES].register_forward_hook(lambda _, __, y: seen.append(y))
    torch.manual_seed(seed)
    context, scores = attend(attention, q, k, v, mask)
    masked = ~mask[:, None, None, :].expand_as(scores)
    assert not seen[0][masked].any()
    assert (scores[masked] < MASKED + 100).all()
    assert context.isfinite().all()
    assert not context[~mask.any(1)].any()  # nothing to select: zeros


def test_padded_queries_still_attend() -> None:
    x = torch.ones(1, 3, 4)
    context, _ = attend(bi_attention_of(1, 4, Sign()), x, x, x, torch.tensor([[True, True, False]]))
    assert context.tolist() == [[[2.0] * 4] * 3]


@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_stay_finite_where_all_is_zero(scaled: bool) -> None:
    q, k, v = (torch.zeros(1, 3, 4, requires_grad=True) for _ in range(3))
    context, scores = attend(bi_attention_of(1, 4, Sign(scaled=scaled)), q, k, v, everything(3))
    torch.autograd.backward(context.sum() + scores.sum())
    assert all(x.grad is not None and x.grad.isfinite().all() for x in (q, k, v))


def test_probabilities_are_refused_by_name(sizes: Architecture) -> None:
    attention = SelfAttention(ModuleFactory(sizes, spec_of(Sign(), Bool())), PATH)
    hidden, mask = torch.ones(1, 2, sizes.hidden), additive_mask(everything(2), torch.float32)
    with pytest.raises(UserError, match="without softmax, so a loss cannot read its probabilities"):
        attention(hidden, mask, {Tap.PROBABILITIES: []})


def test_a_specification_without_softmax_needs_a_key_selecting_quantizer(sizes: Architecture) -> None:
    with pytest.raises(UserError, match=r"softmax: .* attention_probabilities must select keys"):
        ModuleFactory(sizes, evolve(spec_of(Sign(), Bool()), attention={}))


def test_agrees_with_the_published_code(golden: Callable[[str], Golden]) -> None:
    vectors = golden("attention").of("BiBERT", "BEBERT/BiBERT")
    for case in vectors.cases:
        # only BEBERT's copy scales the signs of Q, K and V
        compare(vectors, case["name"], scaled=vectors.code(case) == "BEBERT/BiBERT")


def compare(vectors: Golden, name: str, scaled: bool) -> None:
    t, heads = vectors.tensors, vectors.meta["config"]["num_attention_heads"]
    q, k, v = inputs = [t[f"in/{x}"].clone().requires_grad_() for x in ("q", "k", "v")]
    signs = Sign(strict=True, scaled=scaled, as_published=True)
    attention = bi_attention_of(heads, q.shape[2] // heads, signs)
    taps: dict[Tap, list[Tensor]] = {
        tap: [] for tap in (Tap.SCORES, Tap.QUERY_SIMILARITY, Tap.KEY_SIMILARITY, Tap.VALUE_SIMILARITY)
    }
    context = attention.attend(q, k, v, additive_mask(t["in/mask"].bool(), torch.float32), taps)
    actual = {"context": context} | dict(
        zip(("scores", "query_scores", "key_scores", "value_scores"), (x[0] for x in taps.values()), strict=True)
    )
    tolerances = vectors.meta["tolerance"]
    (outputs,) = (tolerance for what, tolerance in tolerances.items() if "context" in what)
    for what, tensor in actual.items():
        torch.testing.assert_close(tensor, t[f"{name}/{what}"], **outputs)
    torch.autograd.backward((context, actual["scores"]), (t["in/gout_context"], t["in/gout_scores"]))
    for letter, x in zip("qkv", inputs, strict=True):
        torch.testing.assert_close(x.grad, t[f"{name}/grad_{letter}"], **tolerances["grads"])


def test_a_model_without_softmax_is_stored_with_that_flag(
    checkpoint: Checkpoint, tmp_path: Path, batch: Batch, registered: Codec
) -> None:
    model = BertClassifier.from_checkpoint(apply_spec(checkpoint, spec_of(Sign(), Bool())))
    save_model(model, tmp_path, registered)
    loaded = load_model(tmp_path, registered)
    assert not loaded.spec.softmax
    assert torch.equal(loaded.eval()(batch).logits, model.eval()(batch).logits)
    with_softmax = BertClassifier.from_checkpoint(apply_spec(checkpoint, evolve(model.spec, softmax=True)))
    assert not torch.equal(with_softmax.eval()(batch).logits, loaded(batch).logits)


def test_a_folder_without_the_softmax_flag_has_softmax(
    checkpoint: Checkpoint, tmp_path: Path, batch: Batch, registered: Codec
) -> None:
    spec = evolve(spec_of(Sign(), Bool()), softmax=True)
    model = BertClassifier.from_checkpoint(apply_spec(checkpoint, spec))
    save_model(model, tmp_path, registered)
    description = json.loads((tmp_path / "bebertlab.json").read_text())
    del description["design"]["softmax"]
    (tmp_path / "bebertlab.json").write_text(json.dumps(description))
    loaded = load_model(tmp_path, registered)
    assert loaded.spec == spec
    assert torch.equal(loaded.eval()(batch).logits, model.eval()(batch).logits)


def test_a_scheme_determines_its_kind_of_attention(checkpoint: Checkpoint) -> None:
    without = apply_spec(checkpoint, spec_of(Sign(), Bool()))
    assert not without.spec.softmax
    assert not without.spec.with_branches({}).softmax
    assert apply_spec(without, QuantSpec()).spec.softmax
