"""Building blocks of quantizers: straight-through gradients, signs, statistics of groups, dtypes."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

#: what shares a scale: the whole tensor, or each row (the last dimension: an output, a word, a token)
Granularity = Literal["tensor", "row"]
GRANULARITIES: tuple[Granularity, ...] = ("tensor", "row")


def straight_through(value: Tensor, x: Tensor) -> Tensor:
    """A value whose gradient goes to x unchanged.

    y = value exactly, without rounding (`x + (value - x).detach()` would round).
    Shape: value and x alike.
    Gradient: 1 to x, none to value. If x is itself a function of the weights, its gradient follows:
    `straight_through(q, w.clamp(-1, 1))` has no gradient outside [-1, 1].
    Source: Bengio et al., arXiv:1308.3432, section 4.

    >>> w = torch.tensor([0.3, -2.0], requires_grad=True)
    >>> straight_through(w.sign(), w).sum().backward()
    >>> w.grad
    tensor([1., 1.])
    """
    passed: Tensor = _StraightThrough.apply(value.detach(), x)  # type: ignore[no-untyped-call]
    return passed


def sign(x: Tensor, *, keep_zero: bool = False, out: Tensor | None = None) -> Tensor:
    """The sign, with zero (of either sign) counted as +1, so that one bit holds it.

    `keep_zero`: zero stays 0, a third level, as in `torch.sign` and many published codes. The result is in the memory
    of `out` if given, which may be x.

    >>> sign(torch.tensor([-3.0, -0.0, 0.0, 0.5]))
    tensor([-1.,  1.,  1.,  1.])
    """
    if keep_zero:
        return torch.sign(x, out=out)
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


def clipped_ste(value: Tensor, x: Tensor, low: float, high: float, *, strict: bool = False) -> Tensor:
    """A value whose gradient goes to x where x is in a range.

    y = value exactly.
    Shape: value and x alike.
    Gradient: 1 to x where low <= x <= high (strict: low < x < high), else 0; none to value.

    >>> x = torch.tensor([-1.5, -1.0, 0.5], requires_grad=True)
    >>> clipped_ste(x.detach().sign(), x, -1, 1).sum().backward()
    >>> x.grad
    tensor([0., 1., 1.])
    """
    passed: Tensor = _ClippedStraightThrough.apply(value.detach(), x, low, high, strict)  # type: ignore[no-untyped-call]
    return passed


def mask_gradient(
    values: Tensor, x: Tensor, low: float, high: float, *, strict: bool = False, out: Tensor | None = None
) -> Tensor:
    """The values where low <= x <= high (strict: low < x < high), else 0; in the memory of `out` if given.

    >>> mask_gradient(torch.tensor([3.0, 4.0, 5.0]), torch.tensor([-1.0, 0.0, 2.0]), -1, 1)
    tensor([3., 4., 0.])
    """
    if torch.compiler.is_compiling():  # it cannot follow numpy, and fuses this by itself
        return torch.where((x > low) & (x < high) if strict else (x >= low) & (x <= high), values, 0)
    # one fused pass with exclusive ends: a comparison and a where take several times as long on a CPU
    below, above = (low, high) if strict else _beyond(low, high, x.dtype is torch.float64)
    if out is not None:
        return torch.ops.aten.hardtanh_backward(values, x, below, above, grad_input=out)  # type: ignore[no-any-return]
    inside: Tensor = torch.ops.aten.hardtanh_backward(values, x, below, above)
    return inside


@cache
def _beyond(low: float, high: float, double: bool) -> tuple[float, float]:
    """The floats next to a range; next to 0 the smallest one that is not flushed to it."""
    kind = np.float64 if double else np.float32  # half precision is computed in single
    smallest = float(np.finfo(kind).tiny)
    below = float(np.nextafter(kind(low), kind(-np.inf))) if low else -smallest
    above = float(np.nextafter(kind(high), kind(np.inf))) if high else smallest
    return below, above


class _ClippedStraightThrough(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, value: Tensor, x: Tensor, low: float, high: float, strict: bool) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x)
        ctx.low, ctx.high, ctx.strict = low, high, strict
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, None, None]:  # noqa: ANN401 - torch's own
        (x,) = ctx.saved_tensors
        return None, mask_gradient(gradient, x, ctx.low, ctx.high, strict=ctx.strict), None, None, None


def group_mean(x: Tensor, granularity: Granularity) -> Tensor:
    """The mean of each group, broadcasting to x."""
    return x.mean(-1, keepdim=True) if granularity == "row" else x.mean()


def group_sum(x: Tensor, granularity: Granularity) -> Tensor:
    """The sum of each group, broadcasting to x."""
    return x.sum(-1, keepdim=True) if granularity == "row" else x.sum()


def group_max(x: Tensor, granularity: Granularity) -> Tensor:
    """The largest value of each group, broadcasting to x."""
    return x.amax(-1, keepdim=True) if granularity == "row" else x.amax()


def group_size(x: Tensor, granularity: Granularity) -> int:
    """The number of elements in a group.

    >>> group_size(torch.zeros(3, 5), "row"), group_size(torch.zeros(3, 5), "tensor")
    (5, 15)
    """
    return x.shape[-1] if granularity == "row" else x.numel()


def at_least_float32(x: Tensor) -> Tensor:
    """x in single precision or better: half precision holds levels of 8 bits but is too coarse to compute them.

    Raises:
        TypeError: x is not of a floating-point dtype.

    >>> [at_least_float32(torch.zeros(2, dtype=dtype)).dtype for dtype in (torch.bfloat16, torch.float64)]
    [torch.float32, torch.float64]
    """
    if x.dtype is torch.float32:
        return x
    if not x.is_floating_point():
        raise TypeError(f"a quantizer expects a floating-point tensor, not {x.dtype}")
    return x.to(torch.promote_types(x.dtype, torch.float32))


def integer_dtype(low: int, high: int) -> torch.dtype:
    """The smallest dtype for levels from low to high; int8 products need one byte.

    >>> integer_dtype(-127, 127), integer_dtype(0, 255), integer_dtype(-128, 255)
    (torch.int8, torch.uint8, torch.int32)
    """
    for dtype in (torch.int8, torch.uint8):
        if torch.iinfo(dtype).min <= low and high <= torch.iinfo(dtype).max:
            return dtype
    return torch.int32
