from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.testing import check_quantizer
from bebertlab_bibert import Sign

EVERY = [
    {"strict": strict, "scaled": scaled, "as_published": as_published}
    for strict in (False, True)
    for scaled in (False, True)
    for as_published in (False, True)
]


@pytest.mark.parametrize("options", EVERY)
def test_keeps_the_quantizer_contract(options: dict[str, bool]) -> None:
    check_quantizer(Sign(**options))


@pytest.mark.parametrize("options", EVERY)
def test_values_and_gradient_by_hand(options: dict[str, bool]) -> None:
    x = torch.tensor([[-9.0, -1.0, 0.0, 0.5, 1.0, 12.5]], requires_grad=True)
    y = Sign(**options).build(torch.Size([6]))(x)
    torch.autograd.backward(y, torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]))
    scale = 4.0 if options["scaled"] else 1.0  # the mean size
    zero = 0.0 if options["as_published"] else scale
    assert y.tolist() == [[-scale, -scale, zero, scale, scale, scale]]
    assert x.grad is not None
    edge = 0.0 if options["strict"] else 1.0
    assert x.grad.tolist() == [[0.0, 2 * edge, 3.0, 4.0, 5 * edge, 0.0]]


def test_the_scale_is_that_of_the_whole_tensor() -> None:
    x = torch.tensor([[1.0, -2.0], [3.0, 6.0]])
    assert Sign(scaled=True).build(torch.Size([2]))(x).tolist() == [[3.0, -3.0], [3.0, 3.0]]


def test_three_values_take_two_bits() -> None:
    x = torch.tensor([-2.0, 0.0, -0.0, 3.0])
    for as_published, bits, levels in ((False, 1, [-1, 1, 1, 1]), (True, 2, [-1, 0, 0, 1])):
        quantizer = Sign(as_published=as_published).build(x.shape)
        codes = quantizer.encode(x)
        assert (quantizer.bits, codes.bits, codes.levels.tolist()) == (bits, bits, levels)


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=12), st.booleans())
def test_the_factors_are_signs_and_one_scale(values: list[float], as_published: bool) -> None:
    x = torch.tensor([values])
    signs, scale = Sign(scaled=True, as_published=as_published).build(torch.Size([len(values)])).forward_unscaled(x)
    assert set(signs.flatten().tolist()) <= ({-1, 0, 1} if as_published else {-1, 1})
    assert scale is not None
    assert torch.isclose(scale, x.abs().mean())


@pytest.mark.slow
@pytest.mark.parametrize("scaled", [False, True])
def test_compiles(scaled: bool) -> None:
    check_quantizer(Sign(scaled=scaled), compiled=True)


def test_factors_hand_on_the_gradient_of_the_product_and_it_stays_finite() -> None:
    quantizer = Sign(scaled=True).build(torch.Size([3]))
    for numbers, expected in (([0.5, -0.5, 2.0], [3.0, 3.0, 0.0]), ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])):
        x = torch.tensor(numbers, requires_grad=True)
        values, scale = quantizer.forward_unscaled(x)
        assert scale is not None
        torch.autograd.backward(values * scale, torch.full((3,), 3.0))
        assert x.grad is not None
        assert x.grad.tolist() == pytest.approx(expected)
