"""What quantizers are built from: a value that lets a gradient pass, and a sign without zero."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def straight_through(value: Tensor, x: Tensor) -> Tensor:
    """A value that hands its gradient to x unchanged.

    y = value exactly, no rounding on the way (`x + (value - x).detach()` would round).
    Shape: value and x alike.
    Gradient: 1 to x, none to value. Where x is itself a function of the weights its gradient follows:
    `straight_through(q, w.clamp(-1, 1))` lets nothing pass outside [-1, 1].
    Source: Bengio et al., arXiv:1308.3432, section 4.

    >>> w = torch.tensor([0.3, -2.0], requires_grad=True)
    >>> straight_through(w.sign(), w).sum().backward()
    >>> w.grad
    tensor([1., 1.])
    """
    passed: Tensor = _StraightThrough.apply(value.detach(), x)  # type: ignore[no-untyped-call]
    return passed


def sign(x: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sign, with zero (of either sign) counted as +1, so that one bit holds it; in the memory of `out`, also x.

    Differs: `torch.sign` maps 0 to 0, a third value.

    >>> sign(torch.tensor([-3.0, -0.0, 0.0, 0.5]))
    tensor([-1.,  1.,  1.,  1.])
    """
    # three passes of plain arithmetic take less time on a CPU than a comparison and a where
    return torch.sign(x, out=out).add_(0.5).sign_()


class _StraightThrough(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, value: Tensor, x: Tensor) -> Tensor:  # noqa: ANN401 - torch's own type
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:  # noqa: ANN401 - torch's own type
        return None, gradient
