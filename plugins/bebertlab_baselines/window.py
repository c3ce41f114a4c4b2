"""Values whose gradient passes within a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def windowed(value: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """A value that hands its gradient to x where x is in a window, both ends included.

    y = value exactly.
    Shape: value and x alike.
    Gradient: 1 to x where low <= x <= high, else 0; none to value.

    >>> x = torch.tensor([-1.5, -1.0, 0.5], requires_grad=True)
    >>> windowed(x.detach().sign(), x, -1, 1).sum().backward()
    >>> x.grad
    tensor([0., 1., 1.])
    """
    passed: Tensor = _Windowed.apply(value.detach(), x, low, high)  # type: ignore[no-untyped-call]
    return passed


def within(gradient: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """The gradient where low <= x <= high, else 0."""
    toward = np.float32(np.inf)
    # a fused pass, whose ends are exclusive: a comparison and a where take several times as long on a CPU
    ends = float(np.nextafter(np.float32(low), -toward)), float(np.nextafter(np.float32(high), toward))
    passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, x, *ends)
    return passed


class _Windowed(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, value: Tensor, x: Tensor, low: float, high: float) -> Tensor:  # noqa: ANN401 - torch's type
        ctx.save_for_backward(x)
        ctx.low, ctx.high = low, high
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, None]:  # noqa: ANN401 - torch's own type
        (x,) = ctx.saved_tensors
        return None, within(gradient, x, ctx.low, ctx.high), None, None
