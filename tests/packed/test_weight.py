from __future__ import annotations

from typing import Any

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.quantizer import SIGNS, Alphabet, Codes, Quantizer, QuantizerOptions
from bebertlab.packed.modules import PackedMatrix
from bebertlab.packed.weight import PackedWeight, codes_problem, encode_weight
from bebertlab.registry.manager import load_plugins

KINDS = sorted(
    kind
    for kind, entry in load_plugins().registry.entries["quantizer"].items()
    if getattr(entry.cls, "applies_to", "") != "activations"
)


@pytest.fixture
def weight() -> Tensor:
    """Rows of different sizes, one of zeros, and an outlier."""
    weight = torch.randn(6, 70, generator=torch.Generator().manual_seed(0)) * torch.arange(6)[:, None]
    weight[3, 5] = 90.0
    weight[4, 7] = -0.0
    return weight


def build(kind: str, weight: Tensor, codec: OptionsCodec) -> Quantizer:
    options = codec.load({"kind": kind}, QuantizerOptions)  # type: ignore[type-abstract]
    return options.build(weight.shape).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_packed_weights_are_those_of_every_shipped_quantizer(kind: str, weight: Tensor, codec: OptionsCodec) -> None:
    quantizer = build(kind, weight, codec)
    codes, values = encode_weight(weight, quantizer)
    assert codes_problem(codes, values) == ""
    packed = PackedWeight.of(codes)
    assert torch.equal(PackedMatrix(packed).codes().decode(), values)
    assert PackedMatrix(packed).codes().alphabet == quantizer.alphabet


def codes(**changes: Any) -> Codes:  # noqa: ANN401
    return evolve(Codes(levels=torch.tensor([[1, -1], [1, 1]]), step=torch.tensor(0.5), alphabet=SIGNS), **changes)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"alphabet": Alphabet(-(2**15), 2**15 - 1)}, "16 bits"),
        ({"step": torch.full((1, 2), 0.5)}, "no common step"),
        ({"step": torch.full((2, 2), 0.5)}, "no common step"),
        ({"offset": torch.full((2,), 0.5)}, "no common step"),
        ({"step": torch.tensor(0.5, dtype=torch.float64)}, "float32"),
        ({"step": torch.tensor([[0.5], [float("nan")]])}, "finite"),
        ({"offset": torch.tensor(float("inf"))}, "finite"),
        ({"step": torch.tensor(-0.5)}, "negative"),
        ({"levels": torch.tensor([[1, 0], [1, 1]])}, "alphabet"),
    ],
)
def test_codes_that_planes_cannot_hold_have_a_reason(changes: dict[str, object], problem: str) -> None:
    wrong = codes(**changes)
    assert problem in codes_problem(wrong, wrong.decode())


def test_codes_that_decode_to_other_values_have_a_reason() -> None:
    assert codes_problem(codes(), codes().decode()) == ""
    assert "do not decode" in codes_problem(codes(), 1.5 * codes().decode())


def test_a_step_for_each_row_and_one_for_all_keep_their_shapes() -> None:
    by_row = codes(step=torch.tensor([[0.5], [2.0]]), offset=torch.tensor([0.25]))
    packed = PackedWeight.of(by_row)
    assert packed.step.shape == (2, 1)
    assert packed.offset is not None
    assert packed.offset.shape == ()
    assert torch.equal(PackedMatrix(packed).codes().decode(), torch.tensor([[0.75, -0.25], [2.25, 2.25]]))


def test_encoding_leaves_no_graph(weight: Tensor, codec: OptionsCodec) -> None:
    _, values = encode_weight(weight.requires_grad_(), build("bwn", weight, codec))
    assert not values.requires_grad
