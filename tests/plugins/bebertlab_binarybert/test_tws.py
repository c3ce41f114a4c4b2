from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.api import Architecture, Batch, BertClassifier, Checkpoint, QuantSpec, Site, UserError
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.primitives import Granularity
from bebertlab.model.requantize import apply_spec
from bebertlab.model.slice import slice_width
from bebertlab.testing import check_splitter
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_binarybert import BinaryBert, Bwn, TernaryBert, Twn, Tws, tws
from bebertlab_binarybert.tws import split_weight

Splits = Callable[[Tensor, Twn], tuple[Tensor, Tensor]]

GRANULARITIES: tuple[Granularity, ...] = ("tensor", "row")


def errors(weight: Tensor, first: Tensor, second: Tensor, ternary: Twn) -> tuple[float, float]:
    """Errors of the sum of the halves, and of their binarized sum, in double precision."""
    binary = Bwn(granularity=ternary.granularity).build(weight.shape)
    expected = ternary.build(weight.shape)(weight.double())
    summed = binary(first) + binary(second)
    return float((first + second - weight).abs().max()), float((summed - expected).abs().max())


def weights(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return 0.05 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.01


@pytest.mark.parametrize("bits", [8, 4, 32])
def test_keeps_the_splitter_contract(bits: int) -> None:
    check_splitter(Tws(), BinaryBert(weight_bits=2, activation_bits=bits).spec())


def test_splits_ternarybert_too() -> None:
    check_splitter(Tws(), TernaryBert(clip=0.5).spec())


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_the_halves_add_up_latent_and_quantized(granularity: Granularity) -> None:
    w, ternary = weights((24, 40)), Twn(granularity=granularity)
    latent, quantized = errors(w, *split_weight(w, ternary), ternary)
    assert latent < 1e-15
    assert quantized < 1e-15


def as_printed(w: Tensor, ternary: Twn) -> tuple[Tensor, Tensor]:
    """The equations as the textbook has them: + S_J - S_K where it is - S_J + S_K."""
    levels = ternary.build(w.shape).encode(w).levels
    rows = ternary.granularity == "row"
    small, size = w.masked_fill(levels != 0, 0), w.abs().masked_fill(levels == 0, 0)
    total, large = (t.sum(1, keepdim=True) if rows else t.sum() for t in (small, size))
    a = (large + total) / (2 * large)
    first, second = split_weight(w, ternary)
    return torch.where(levels == 0, first, a * w), torch.where(levels == 0, second, (1 - a) * w)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_the_sign_printed_in_the_paper_does_not_preserve_the_sum(granularity: Granularity) -> None:
    w, ternary = weights((6, 8)), Twn(granularity=granularity)
    latent, quantized = errors(w, *as_printed(w, ternary), ternary)
    assert latent < 1e-7
    assert quantized > 1e-4


@pytest.mark.parametrize("split", [split_weight, as_printed])
@pytest.mark.parametrize("bits", [8, 4])
def test_logits_are_equal_before_and_after_the_split(bits: int, split: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    """In double precision, of a half-width model whose clips and steps a training batch has set."""
    monkeypatch.setattr(tws, "split_weight", split)
    full = Architecture(vocabulary=50, positions=16, hidden=32, heads=4, head_size=8, ffn=64, layers=2, classes=3)
    half = slice_width(random_checkpoint(full, seed=0, spread=0.2), 0.5)
    model = BertClassifier.from_checkpoint(apply_spec(half, BinaryBert(weight_bits=2, activation_bits=bits).spec()))
    torch.manual_seed(0)
    model.train()(batch())
    ternary = double(model.checkpoint())
    difference = float((logits(split_of(ternary)) - logits(ternary)).abs().max())
    assert difference <= 1e-5 if split is split_weight else difference > 1e-4


def logits(checkpoint: Checkpoint) -> Tensor:
    model = BertClassifier(checkpoint.architecture, checkpoint.spec).double()
    model.load_state_dict(checkpoint.tensors)
    actual: Tensor = model.eval()(batch()).logits
    return actual.detach()


def batch() -> Batch:
    tokens = torch.randint(1, 50, (6, 9), generator=torch.Generator().manual_seed(0))
    tokens[::2, 5:] = 0
    return Batch(
        positions=torch.arange(6),
        tokens=tokens,
        segments=torch.zeros_like(tokens),
        mask=tokens != 0,
        labels=torch.zeros(6, dtype=torch.int64),
    )


def double(checkpoint: Checkpoint) -> Checkpoint:
    tensors = {name: t.double() if t.is_floating_point() else t for name, t in checkpoint.tensors.items()}
    return evolve(checkpoint, tensors=tensors)


@given(
    st.lists(st.lists(st.floats(-1, 1, width=32), min_size=6, max_size=6), min_size=1, max_size=4),
    st.sampled_from(GRANULARITIES),
)
def test_any_weights_can_be_split(rows: list[list[float]], granularity: Granularity) -> None:
    w = torch.tensor(rows, dtype=torch.float64)
    ternary = Twn(granularity=granularity)
    first, second = split_weight(w, ternary)
    assert first.isfinite().all()
    assert second.isfinite().all()
    assert max(errors(w, first, second, ternary)) < 1e-12


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_outweighed_large_weights_with_small_weights_of_one_sign_are_split(sign: float) -> None:
    small = [0.15, 0.16, 0.14, 0.155, 0.145, 0.15, 0.16, 0.14, 0.15]
    row = sign * torch.tensor([[1.0, *small]], dtype=torch.float64)
    ternary = Twn(granularity="row")
    assert ternary.build(row.shape).encode(row).levels.abs().sum() == 1
    first, second = split_weight(row, ternary)
    assert first[0, 0] * sign > 0
    assert second[0, 0] * sign > 0
    assert max(errors(row, first, second, ternary)) < 1e-15


def test_outweighed_large_weights_with_small_weights_of_both_signs_are_split() -> None:
    # every other weight by magnitude is positive, as is half of the others: no alternation over T alone balances them
    small = [(0.0525 - 1e-7 * i) * (-1.0 if i % 4 == 1 else 1.0) for i in range(40)]
    row = torch.tensor([[1.0, *small]], dtype=torch.float64)
    ternary = Twn(granularity="row")
    assert ternary.build(row.shape).encode(row).levels.abs().sum() == 1
    assert sum(small) > 1.0
    assert max(errors(row, *split_weight(row, ternary), ternary)) < 1e-15


def test_rows_without_large_or_small_weights_are_split() -> None:
    w = torch.tensor([[0.0, 0.0, 0.0], [0.5, -0.5, 0.5]], dtype=torch.float64)
    first, second = split_weight(w, Twn(granularity="row"))
    assert first.tolist() == [[0.0, 0.0, 0.0], [0.25, -0.25, 0.25]]
    assert torch.equal(first, second)


def test_weights_beyond_the_clip_are_clipped_before_the_split() -> None:
    w, ternary = torch.tensor([[4.0, -1.0, 0.2, 0.9]], dtype=torch.float64), Twn(clip=2.0)
    first, second = split_weight(w, ternary)
    assert errors(w.clamp(-2, 2), first, second, ternary)[1] < 1e-15


def source(spec: QuantSpec) -> Checkpoint:
    return tiny_model(tiny_task(), spec).checkpoint()


def must_not_measure(_: Checkpoint) -> float:
    raise AssertionError("nothing is measured")


def split_of(before: Checkpoint) -> Checkpoint:
    splitting = Tws().build().split(before, must_not_measure)
    assert not splitting.changed
    return splitting.checkpoint


def test_every_ternary_module_gets_two_binary_branches() -> None:
    split = split_of(source(BinaryBert(weight_bits=2).spec()))
    assert split.spec.weights[Site.WORD_EMBEDDING] == Bwn(granularity="row")
    assert split.spec.weights[Site.QUERY] == Bwn()
    assert len(split.spec.branches) == 1 + 2 * 6 + 1
    assert set(split.spec.branches.values()) == {2}
    assert split.spec.inputs == BinaryBert().spec().inputs


def test_a_module_without_ternary_weights_is_unchanged() -> None:
    ternary = Twn()
    split = split_of(source(QuantSpec(weights={Site.POOLER: ternary})))
    assert dict(split.spec.branches) == {"bert.pooler.dense": 2}
    assert "bert.encoder.layer.0.attention.self.query.weight" in split.tensors


def test_biases_are_halved_and_steps_copied() -> None:
    before = source(BinaryBert(weight_bits=2, activation_bits=4).spec())
    name = "bert.encoder.layer.0.intermediate.dense.branches.{}.{}"
    before.tensors[name.format(0, "bias")].fill_(0.6)
    before.tensors[name.format(0, "input_quantizer.step")].fill_(0.3)
    after = split_of(before).tensors
    for branch in (0, 1):
        assert after[name.format(branch, "bias")].tolist() == pytest.approx([0.3] * 32)
        assert after[name.format(branch, "input_quantizer.step")].item() == pytest.approx(0.3)
        assert after[name.format(branch, "weight")].dtype == torch.float32


def test_modules_that_are_not_ternary_are_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match="full-precision weights"):
        split_of(source(BinaryBert(weight_bits=32).spec()))
    with pytest.raises(UserError, match="word_embedding is bwn, query is bwn"):
        split_of(source(BinaryBert(weight_bits=1).spec()))
    with pytest.raises(UserError, match=r"already split: bert\.pooler\.dense"):
        split_of(source(QuantSpec(weights={Site.POOLER: Twn()}, branches={"bert.pooler.dense": 2})))
