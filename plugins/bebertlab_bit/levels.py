"""The levels of elastic binarization, and the gradients of their scale and shift."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bebertlab.api import at_least_float32, mask_gradient, sign

SMALLEST = 1e-5  #: no scale is smaller


class Levels(NamedTuple):  # not attrs: torch.compile does not follow a frozen class
    """Whole numbers from low to high; of a signed bit its two signs only."""

    low: int
    high: int
    signed: bool
    signs: bool  #: one signed bit: -1 and +1
    with_zero: bool  #: and 0, of what is exactly 0
    from_smallest: bool  #: level 0 is the smallest value of the tensor, not 0
    bits: int  #: that a level takes

    @classmethod
    def of(cls, bits: int, *, signed: bool, with_zero: bool) -> Levels:
        """The levels of some bits.

        >>> Levels.of(1, signed=True, with_zero=False)[:2], Levels.of(2, signed=True, with_zero=False)[:2]
        ((-1, 1), (-2, 1))
        """
        signs = signed and bits == 1
        low = -(2 ** (bits - 1)) if signed else 0
        return cls(
            low=low,
            high=1 if signs else low + 2**bits - 1,
            signed=signed,
            signs=signs,
            with_zero=signs and with_zero,
            from_smallest=not signed and bits > 1,
            bits=2 if signs and with_zero else bits,
        )

    def nearest_(self, u: Tensor) -> Tensor:
        """The level of every value in steps, in the memory of u."""
        if self.signs:
            return u.sign_() if self.with_zero else sign(u, out=u)
        return u.clamp_(self.low, self.high).round_()


def quantize(x: Tensor, scale: Tensor, shift: Tensor | None, levels: Levels) -> Tensor:
    """Every value at its level; see `ElasticQuantizer` for the formulas and the gradients."""
    y: Tensor = _Quantize.apply(x, scale, shift, levels)  # type: ignore[no-untyped-call]
    return y


def scaled(x: Tensor, scale: Tensor, shift: Tensor | None, levels: Levels) -> tuple[Tensor, Tensor, Tensor | None]:
    """x in steps from level 0, before rounding; the step that holds; the value of level 0, None is exactly 0."""
    wide = _shifted(x, shift)
    step = scale.to(wide.dtype).clamp(min=SMALLEST)
    base = wide.amin() if levels.from_smallest else None
    return _in_steps(wide, step, base, in_place=wide is not x), step, base


def _in_steps(wide: Tensor, step: Tensor, base: Tensor | None, *, in_place: bool) -> Tensor:
    if base is not None:
        return (wide - base).div_(step)
    return wide.div_(step) if in_place else wide / step


def _shifted(x: Tensor, shift: Tensor | None) -> Tensor:
    wide = at_least_float32(x)
    return wide if shift is None else wide + shift.to(wide.dtype)


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor | None, levels: Levels) -> Tensor:  # noqa: ANN401
        u, step, base = scaled(x, scale, shift, levels)
        y = levels.nearest_(u).to(x.dtype).mul_(step.to(x.dtype))
        if levels.with_zero or not levels.signs:
            y.add_(0.0 if base is None else base.to(x.dtype))  # 0 turns -0 into the 0 that integers decode to
        ctx.levels = levels
        # x, not u: it is kept anyway, once for all that read it, and dividing again is cheap
        ctx.save_for_backward(x, step, shift, base)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:  # noqa: ANN401
        x, step, shift, base = ctx.saved_tensors
        wide, levels = _shifted(x, shift), ctx.levels
        u = _in_steps(wide, step, base, in_place=wide is not x)
        gradient = gradient.to(u.dtype)
        passed = mask_gradient(gradient, u, levels.low, levels.high)
        inner = None if levels.signs else mask_gradient(u, u, levels.low, levels.high)
        slopes = levels.nearest_(u)
        if inner is not None:
            slopes.sub_(inner)
        to_scale = slopes.mul_(gradient).sum() / math.sqrt(u.numel() * levels.high)
        to_shift = None if shift is None else passed.reshape(-1, shift.shape[0]).sum(0)
        return passed, to_scale, to_shift, None
