"""Dropout that draws four decisions at a time."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_LEVELS = 2**16  # of 16 random bits
_LOWEST = -(2**15)


def drop(x: Tensor, probability: float, training: bool) -> Tensor:
    """Zeros in some places, the others larger by as much; x itself where nothing is to drop.

    y = x k / keep, each k 1 with probability keep, else 0; keep is 1 - probability as a multiple of 2^-16.
    Shape: any -> the same.
    Source: Srivastava et al., JMLR 15 (2014).
    Differs: on a CPU `torch.dropout` draws every decision by itself and takes three times as long; the numbers are
    other ones.
    """
    if not training or not probability:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, probability)
    dropped: Tensor = _Dropped.apply(x, None, probability)  # type: ignore[no-untyped-call]
    return dropped


def dropout_add(x: Tensor, update: Tensor, probability: float, training: bool) -> Tensor:
    """x + drop(update), with a pass less."""
    if not training or not probability:
        return x + update
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return x + F.dropout(update, probability)
    total: Tensor = _Dropped.apply(update, x, probability)  # type: ignore[no-untyped-call]
    return total


class _Dropped(torch.autograd.Function):
    """drop(x), or added to a base. Kept until the backward pass is a byte a number, not a float."""

    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, x: Tensor, base: Tensor | None, probability: float) -> Tensor:  # noqa: ANN401 - torch's own
        kept = min(round((1 - probability) * _LEVELS), _LEVELS - 1)  # a bound of 16 bits
        stays = _decisions(x, kept)
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
    """0 where a number is dropped, the scale where it stays."""
    # read as bytes, which are converted several times as fast as bool
    return stays.view(torch.uint8).to(dtype).mul_(scale)


def _decisions(x: Tensor, kept: int) -> Tensor:
    """True in the places that stay, which `kept` of 2^16 do, in the shape of x."""
    count = x.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    return bits.view(torch.int16)[:count].view(x.shape) < _LOWEST + kept
