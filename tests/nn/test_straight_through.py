from __future__ import annotations

import pytest
import torch

from bebertlab.nn.straight_through import sign, straight_through


def test_the_value_is_exact_and_the_gradient_passes() -> None:
    x = torch.tensor([1e8, -0.3], requires_grad=True)
    value = torch.tensor([0.1, 0.7])
    y = straight_through(value, x)
    assert torch.equal(y, value)
    torch.autograd.backward(y, torch.tensor([2.0, 3.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 3.0]


def test_no_gradient_goes_through_the_value() -> None:
    w, x = (torch.ones(2, requires_grad=True) for _ in range(2))
    torch.autograd.backward(straight_through(3 * w, x).sum())
    assert w.grad is None


def test_the_gradient_follows_what_x_is_made_of() -> None:
    w = torch.tensor([0.5, 2.0], requires_grad=True)
    torch.autograd.backward(straight_through(w.sign(), w.clamp(-1, 1)).sum())
    assert w.grad is not None
    assert w.grad.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_sign_has_no_zero(dtype: torch.dtype) -> None:
    x = torch.tensor([-1e-30, -0.0, 0.0, 1e-30, -5.0, float("inf")], dtype=dtype)
    assert sign(x).tolist() == [-1.0, 1.0, 1.0, 1.0, -1.0, 1.0]
    assert sign(x).dtype == dtype
    own = x.clone()
    assert sign(own, out=own) is own
    assert torch.equal(own, sign(x))
