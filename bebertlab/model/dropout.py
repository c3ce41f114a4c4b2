"""Dropout that draws 64 random bits for four elements."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_LEVELS = 2**16  # of 16 random bits
_LOWEST = -(2**15)


def dropout(x: Tensor, probability: float, training: bool) -> Tensor:
    """Sets elements to 0 at random and scales the others; x itself outside training or with probability 0.

    y = x k / keep, each k 1 with probability keep, else 0; keep is 1 - probability as a multiple of 2^-16.
    Shape: any -> the same.
    Source: Srivastava et al., JMLR 15 (2014).
    Differs: on a CPU `torch.dropout` draws a number for each element, which takes three times as long; the two drop
    different elements.
    """
    if not training or not probability:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, probability)
    dropped: Tensor = _Dropout.apply(x, None, probability)  # type: ignore[no-untyped-call]
    return dropped


def dropout_add(x: Tensor, update: Tensor, probability: float, training: bool) -> Tensor:
    """x + dropout(update), in one pass less."""
    if not training or not probability:
        return x + update
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return x + F.dropout(update, probability)
    total: Tensor = _Dropout.apply(update, x, probability)  # type: ignore[no-untyped-call]
    return total


class _Dropout(torch.autograd.Function):
    """dropout(x), or added to a base. For the backward pass it keeps a byte per element, not a float."""

    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, base: Tensor | None, probability: float) -> Tensor:  # noqa: ANN401 - torch's own
        kept = min(round((1 - probability) * _LEVELS), _LEVELS - 1)  # a bound of 16 bits
        stays = _draw_mask(x, kept)
        ctx.save_for_backward(stays)
        ctx.scale = _LEVELS / max(kept, 1)
        ctx.added = base is not None
        if base is None:
            return x * _factors(stays, x.dtype, ctx.scale)
        # in one dtype: a sum of float32 and bfloat16 takes four times as long as the conversion and the sum
        dtype = torch.promote_types(x.dtype, base.dtype)
        return torch.addcmul(base, x.to(dtype), _factors(stays, dtype, ctx.scale))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:  # noqa: ANN401 - torch's own type
        (stays,) = ctx.saved_tensors
        passed = _factors(stays, gradient.dtype, ctx.scale).mul_(gradient)
        return passed, gradient if ctx.added else None, None


def _factors(stays: Tensor, dtype: torch.dtype, scale: float) -> Tensor:
    """0 where an element is dropped, the scale where it stays."""
    # read as bytes, which are converted several times as fast as bool
    return stays.view(torch.uint8).to(dtype).mul_(scale)


def _draw_mask(x: Tensor, kept: int) -> Tensor:
    """True for elements that stay, each with probability `kept` / 2^16, in the shape of x."""
    count = x.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    return bits.view(torch.int16)[:count].view(x.shape) < _LOWEST + kept
