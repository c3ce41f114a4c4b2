from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.testing import check_quantizer
from bebertlab_baselines import Pact
from bebertlab_baselines.pact import PactQuantizer


def gradients(options: Pact, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    quantizer = options.build(x.shape)
    x = x.clone().requires_grad_()
    quantizer(x).backward(upstream)
    assert x.grad is not None
    assert quantizer.clip.grad is not None
    return x.grad, quantizer.clip.grad


@pytest.mark.parametrize("options", [Pact(bits=1), Pact(bits=4), Pact(bits=12), Pact(bits=2, signed=True)])
def test_keeps_the_quantizer_contract(options: Pact) -> None:
    check_quantizer(options)


def test_levels_are_even_from_zero_to_the_clip() -> None:
    x = torch.tensor([-4.0, 0.4, 0.6, 1.4, 2.9, 7.0])
    assert Pact(bits=2, clip=3.0).build(x.shape)(x).tolist() == [0.0, 0.0, 1.0, 1.0, 3.0, 3.0]


def test_signed_levels_are_mirrored() -> None:
    x = torch.tensor([-4.0, -0.4, 0.0, 0.6, 1.4, 7.0])
    assert Pact(bits=3, clip=3.0, signed=True).build(x.shape)(x).tolist() == [-3.0, 0.0, 0.0, 1.0, 1.0, 3.0]


def test_clipped_values_pass_their_gradient_to_the_clip() -> None:
    x = torch.tensor([-3.0, -1.0, 0.0, 0.5, 1.0, 4.0])
    passed, clip = gradients(Pact(clip=1.0), x, torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]))
    assert passed.tolist() == [0.0, 0.0, 4.0, 8.0, 0.0, 0.0]
    assert clip.item() == 48.0


def test_below_the_negative_clip_the_gradient_changes_its_sign() -> None:
    x = torch.tensor([-3.0, -1.0, 0.0, 0.5, 1.0, 4.0])
    passed, clip = gradients(Pact(clip=1.0, signed=True), x, torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]))
    assert passed.tolist() == [0.0, 0.0, 4.0, 8.0, 0.0, 0.0]
    assert clip.item() == 48.0 - 3.0


@pytest.mark.parametrize("signed", [True, False])
def test_gradients_are_those_of_clipping(
    signed: bool,
    matrix: tuple[Tensor, Tensor],
    slope: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor],
) -> None:
    x, upstream = matrix
    options = Pact(clip=0.8, signed=signed)
    passed, clip = gradients(options, x, upstream)

    def clipped(x: Tensor, clip: Tensor) -> Tensor:
        return (upstream * torch.minimum(torch.maximum(x, -clip if signed else 0 * clip), clip)).sum()

    start = torch.tensor(0.8, dtype=torch.float64)
    assert torch.allclose(passed, slope(lambda x: clipped(x, start), x), atol=1e-6)
    assert torch.allclose(clip.double(), slope(lambda clip: clipped(x, clip), start), atol=1e-5)


def test_a_clip_below_zero_is_bounded_and_can_rise_again() -> None:
    quantizer = Pact(clip=1.0).build(torch.Size([3]))
    with torch.no_grad():
        quantizer.clip.fill_(-2.0)
    x = torch.tensor([-1.0, 0.0, 2.0])
    y = quantizer(x)
    assert y.tolist() == pytest.approx([0.0, 0.0, 1e-5])
    torch.autograd.backward(y.sum())
    assert quantizer.clip.grad == 1.0


def test_the_clip_has_a_separate_weight_decay() -> None:
    quantizer = Pact(decay=2e-4).build(torch.Size([3]))
    (group,) = quantizer.parameter_groups()
    assert group.parameters == (quantizer.clip,)
    assert group.weight_decay == 2e-4


@pytest.mark.parametrize("options", [{"bits": 0}, {"clip": 0.0}, {"bits": 1, "signed": True}, {"decay": -1.0}])
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Pact(**options)


@given(st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=20), st.integers(2, 8), st.booleans())
def test_values_inside_the_clip_move_by_at_most_half_a_step(values: list[float], bits: int, signed: bool) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    quantizer = PactQuantizer(Pact(bits=bits, signed=signed))
    clipped = x.clamp(-2.5 if signed else 0.0, 2.5)
    assert (quantizer(x) - clipped).abs().max() <= 2.5 / quantizer.highest / 2 + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("signed", [True, False])
def test_compiles(signed: bool) -> None:
    check_quantizer(Pact(signed=signed, clip=1.0), compiled=True)
