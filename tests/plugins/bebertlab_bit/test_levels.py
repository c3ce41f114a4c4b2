from __future__ import annotations

import pytest
import torch

from bebertlab_bit.levels import SMALLEST, Levels, quantize, scaled

X = torch.tensor([[-1.5, 0.25, 0.5, 3.0]])


@pytest.mark.parametrize(
    ("bits", "signed", "ends"), [(1, True, (-1, 1)), (1, False, (0, 1)), (2, True, (-2, 1)), (3, False, (0, 7))]
)
def test_the_ends_of_the_levels(bits: int, signed: bool, ends: tuple[int, int]) -> None:
    levels = Levels.of(bits, signed=signed, with_zero=False)
    assert (levels.low, levels.high) == ends
    assert levels.from_smallest == (not signed and bits > 1)
    assert levels.bits == bits


def test_two_signs_have_no_zero_unless_told() -> None:
    u = torch.tensor([-2.0, 0.0, 0.1])
    assert Levels.of(1, signed=True, with_zero=False).nearest_(u.clone()).tolist() == [-1.0, 1.0, 1.0]
    with_zero = Levels.of(1, signed=True, with_zero=True)
    assert (with_zero.nearest_(u.clone()).tolist(), with_zero.bits) == ([-1.0, 0.0, 1.0], 2)
    assert not Levels.of(2, signed=True, with_zero=True).with_zero


def test_ties_go_to_the_even_level() -> None:
    assert Levels.of(1, signed=False, with_zero=False).nearest_(torch.tensor([0.5, 1.5])).tolist() == [0.0, 1.0]


def test_values_in_steps() -> None:
    signs, up = Levels.of(1, signed=True, with_zero=False), Levels.of(2, signed=False, with_zero=False)
    u, step, base = scaled(X, torch.tensor(0.5), torch.ones(4), signs)
    assert (u.tolist(), step.item(), base) == ([[-1.0, 2.5, 3.0, 8.0]], 0.5, None)
    u, step, base = scaled(X, torch.tensor(0.0), None, up)
    assert base is not None
    assert step.item() == pytest.approx(SMALLEST)
    assert base.item() == -1.5
    assert X.tolist() == [[-1.5, 0.25, 0.5, 3.0]]  # not changed in place


def test_a_shift_that_is_not_there_has_no_gradient_and_one_that_is_has() -> None:
    scale, shift = torch.tensor(1.0, requires_grad=True), torch.zeros(4, requires_grad=True)
    levels = Levels.of(1, signed=True, with_zero=False)
    torch.autograd.backward((quantize(X, scale, None, levels).sum(), quantize(X, scale, shift, levels).sum()))
    assert shift.grad is not None
    assert shift.grad.tolist() == [0.0, 1.0, 1.0, 0.0]
