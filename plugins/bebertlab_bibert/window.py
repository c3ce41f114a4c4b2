"""The gradient of signs: it passes inside a window around zero."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def limit(strict: bool, dtype: torch.dtype) -> float:
    """Where the gradient stops: at 1 itself, or at the next number beyond it.

    >>> limit(True, torch.float32), limit(False, torch.float32) > 1
    (1.0, True)
    """
    return 1.0 if strict else 1.0 + torch.finfo(dtype).eps


def windowed(value: Tensor, x: Tensor, strict: bool, scale: Tensor | None = None) -> Tensor:
    """A value that hands its gradient, divided by `scale` if there is one, to x where |x| <= 1 (strict: < 1).

    Shape: value and x alike.

    >>> x = torch.tensor([-2.0, -1.0, 0.5], requires_grad=True)
    >>> windowed(x.sign(), x, strict=False).sum().backward()
    >>> x.grad
    tensor([0., 1., 1.])
    """
    y: Tensor = _Windowed.apply(value.detach(), x, limit(strict, x.dtype), scale)  # type: ignore[no-untyped-call]
    return y


class _Windowed(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, value: Tensor, x: Tensor, end: float, scale: Tensor | None) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x, scale)
        ctx.end = end
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, None]:  # noqa: ANN401 - torch's own type
        x, scale = ctx.saved_tensors
        # one fused pass (the ends are exclusive): a comparison and a where take several times as long on a CPU
        passed = torch.ops.aten.hardtanh_backward(gradient, x, -ctx.end, ctx.end)
        if scale is not None:
            passed = passed.div_(scale.clamp(min=torch.finfo(scale.dtype).tiny))
        return None, passed, None, None
