"""Evenly spaced levels with a learned step."""

from __future__ import annotations

import math
from typing import Any

import torch
from attrs import field, frozen, validators
from torch import Tensor, nn

from bebertlab.api import (
    Alphabet,
    Codes,
    LevelGrid,
    Quantizer,
    QuantizerOptions,
    at_least_float32,
    integer_dtype,
    mask_gradient,
)
from bebertlab_binarybert.grid import check_bits

_SMALLEST = 1e-5  #: lower bound of the step


@frozen(kw_only=True)
class Lsq(QuantizerOptions):
    """Evenly spaced levels whose distance is learned; the first batch sets it."""

    kind = "lsq"
    bits: int = field(
        default=4, validator=[validators.ge(1), validators.le(16), check_bits]
    )  #: of a level; symmetric ones need 2
    symmetric: bool = True  #: levels on both sides of zero; false: upwards from the smallest value of the tensor
    as_published: bool = False  #: a step that falls to 0 or below is not clamped, as in the published code

    def build(self, shape: torch.Size) -> LsqQuantizer:
        """A quantizer without a step."""
        return LsqQuantizer(self)


class LsqQuantizer(Quantizer):
    """Evenly spaced levels with one learned step for the tensor.

    symmetric: low = -2^(bits-1), high = 2^(bits-1) - 1, b = 0;  asymmetric: low = 0, high = 2^bits - 1, b = min x;
    a = max(step, 1e-5), u = (x - b) / a, q = a min(max(round(u), low), high) + b.
    The first forward pass in training sets step = 2 mean |x| / sqrt(high), asymmetric 4 mean |x| / sqrt(high). In
    evaluation a step that was never set is computed for each tensor and not kept. (Before `torch.compile` run one
    training batch, or load a trained state: the step is not set in compiled code.)
    Shape: any -> the same.
    Gradient: 1 where low <= u <= high, else 0; to step the sum of (low where u < low, high where u > high, else
    round(u) - u) over sqrt(elements * high), also where step < 1e-5; b is a constant.
    Source: LSQ, arXiv:1902.08153; BinaryBERT's code.
    Differs: the published code of BinaryBERT stops at a step that is not above 0, that of BEBERT and
    `as_published` use it as it is (a step of exactly 0 gives NaN). Neither code saves whether the step is initialized,
    and both initialize a loaded step of exactly 1 again.

    >>> LsqQuantizer(Lsq(bits=2)).eval()(torch.tensor([-2.0, 0.5, 1.5, 0.0]))
    tensor([-2.,  0.,  2.,  0.])
    """

    initialised: Tensor  #: whether the step was set, a scalar of dtype bool
    grid_shift = None  #: nothing is added to x

    def __init__(self, options: Lsq) -> None:
        super().__init__()
        self.alphabet = Alphabet.signed(options.bits) if options.symmetric else Alphabet.unsigned(options.bits)
        self.symmetric = options.symmetric
        self.published = options.as_published
        self.low, self.high = self.alphabet.low, self.alphabet.high
        self.step = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("initialised", torch.tensor(False))
        self._ready = False  # the buffer as last read: each read would synchronize with a GPU

    def forward(self, x: Tensor) -> Tensor:
        """Every value at the nearest level."""
        step = self._set_step(x)
        y: Tensor = _Quantize.apply(x, step, (self.low, self.high), self.symmetric, self.published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels low to high, with an offset where they are not symmetric."""
        x = x.detach()
        step = _clamped(self._current_step(x).to(at_least_float32(x).dtype), self.published)
        base = None if self.symmetric else x.amin()
        levels = _in_steps(x, step, base).clamp_(self.low, self.high).round_().nan_to_num_()
        return Codes(
            levels=levels.to(integer_dtype(self.low, self.high)),
            step=step.to(x.dtype),
            offset=base,
            alphabet=self.alphabet,
        )

    def level_grid(self, smallest: float, largest: float) -> LevelGrid | None:
        """The grid of the learned step; None where it is not set, or not positive (as published)."""
        if not self._is_set():
            return None
        step = self.step.item() if self.published else max(self.step.item(), _SMALLEST)
        if step <= 0:
            return None
        base = None if self.symmetric else smallest
        return LevelGrid(step=step, offset=base, base=base or 0.0, divisor=step)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - torch's own type
        self._ready = False
        super()._load_from_state_dict(*args, **kwargs)

    def _set_step(self, x: Tensor) -> Tensor:
        """The step, set by this tensor if this is training and it is the first."""
        if self._is_set():
            return self.step
        first = self._first_step(x.detach())
        if not self.training:
            return first
        with torch.no_grad():
            self.step.copy_(first)
            self.initialised.fill_(True)
        return self.step

    def _current_step(self, x: Tensor) -> Tensor:
        return self.step.detach() if self._is_set() else self._first_step(x)

    def _is_set(self) -> bool:
        if not self._ready:
            self._ready = bool(self.initialised)
        return self._ready

    def _first_step(self, x: Tensor) -> Tensor:
        factor = 2 if self.symmetric else 4
        return (x.to(self.step.dtype).abs().mean() * (factor / math.sqrt(self.high))).to(self.step.dtype)


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, ends: tuple[int, int], symmetric: bool, published: bool) -> Tensor:  # noqa: ANN401
        size = _clamped(step.to(at_least_float32(x).dtype), published)
        base = None if symmetric else x.amin()
        # x, not the result: it is kept anyway, and dividing again is cheap
        ctx.save_for_backward(x, size, base)
        ctx.low, ctx.high = low, high = ends
        y = _in_steps(x, size, base).clamp_(low, high).round_().to(x.dtype).mul_(size.to(x.dtype))
        # adding 0 turns -0 into the 0 that integers decode to
        return y.add_(0.0 if base is None else base)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # noqa: ANN401
        scaled = _in_steps(*ctx.saved_tensors)
        gradient = gradient.to(scaled.dtype)
        inner = mask_gradient(scaled, scaled, ctx.low, ctx.high)
        passed = mask_gradient(gradient, scaled, ctx.low, ctx.high)
        slope = scaled.clamp_(ctx.low, ctx.high).round_().sub_(inner).mul_(gradient).sum()
        return passed, slope / math.sqrt(scaled.numel() * ctx.high), None, None, None


def _clamped(step: Tensor, published: bool) -> Tensor:
    """The step, clamped; if `published` only 0 is replaced, by NaN."""
    return torch.where(step == 0, torch.nan, step) if published else step.clamp(min=_SMALLEST)


def _in_steps(x: Tensor, size: Tensor, base: Tensor | None) -> Tensor:
    """x in steps from the base, before rounding."""
    wide = at_least_float32(x)
    return wide / size if base is None else (wide - base).div_(size)
