"""Evenly spaced levels with a learned step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from attrs import field, frozen, validators
from torch import Tensor, nn

from bebertlab.api import Codes, Quantizer, QuantizerOptions

_SMALLEST = 1e-5  #: no step is smaller


@frozen(kw_only=True)
class Lsq(QuantizerOptions):
    """Evenly spaced levels whose distance is learned; the first batch sets it."""

    kind = "lsq"
    bits: int = field(default=4, validator=[validators.ge(2), validators.le(16)])  #: of a level
    symmetric: bool = True  #: levels on both sides of zero; false: upwards from the smallest value of the tensor

    def build(self, shape: torch.Size) -> LsqQuantizer:
        """A quantizer whose step is not set yet."""
        return LsqQuantizer(self)


class LsqQuantizer(Quantizer):
    """Evenly spaced levels with one learned step for the tensor.

    symmetric: low = -2^(bits-1), high = 2^(bits-1) - 1, b = 0;  asymmetric: low = 0, high = 2^bits - 1, b = min x;
    a = max(step, 1e-5), u = (x - b) / a, q = a min(max(round(u), low), high) + b.
    The first forward pass in training sets step = 2 mean |x| / sqrt(high), asymmetric 4 mean |x| / sqrt(high). In
    evaluation a step that was never set is found for every tensor anew and not kept. (Before `torch.compile` run
    one training batch, or load a trained state: setting the step is not for a compiler.)
    Shape: any -> the same.
    Gradient: 1 where low <= u <= high, else 0; to step the sum of (low where u < low, high where u > high, else
    round(u) - u) over sqrt(elements * high), also where step < 1e-5; b is a constant.
    Source: LSQ, arXiv:1902.08153; BinaryBERT's code.
    Differs: the published code stops at a step below 0, does not save that the step was set, and sets a step that is
    exactly 1 anew.

    >>> LsqQuantizer(Lsq(bits=2)).eval()(torch.tensor([-2.0, 0.5, 1.5, 0.0]))
    tensor([-2.,  0.,  2.,  0.])
    """

    initialised: Tensor  #: whether the step was set, a number of type bool

    def __init__(self, options: Lsq) -> None:
        super().__init__()
        self.bits = options.bits
        self.symmetric = options.symmetric
        self.low: int = -(2 ** (self.bits - 1)) if self.symmetric else 0
        self.high: int = self.low + 2**self.bits - 1
        self.step = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("initialised", torch.tensor(False))
        self._ready = False  # what the buffer said when it was last read: reading it would make a GPU wait

    def forward(self, x: Tensor) -> Tensor:
        """Every value at the nearest level."""
        step = self._set_step(x)
        y: Tensor = _Quantize.apply(x, step, self.low, self.high, self.symmetric)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels low to high, with an offset where they are not symmetric."""
        x = x.detach()
        scaled, step, base = _scaled(x, self._found_step(x), self.symmetric)
        levels = scaled.clamp_(self.low, self.high).round_()
        narrow = self.symmetric and self.bits <= 8
        return Codes(
            levels=levels.to(torch.int8 if narrow else torch.int32),
            step=step.to(x.dtype),
            offset=base,
            bits=self.bits,
        )

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

    def _found_step(self, x: Tensor) -> Tensor:
        return self.step.detach() if self._is_set() else self._first_step(x)

    def _is_set(self) -> bool:
        self._ready = self._ready or bool(self.initialised)
        return self._ready

    def _first_step(self, x: Tensor) -> Tensor:
        factor = 2 if self.symmetric else 4
        return (x.to(self.step.dtype).abs().mean() * (factor / math.sqrt(self.high))).to(self.step.dtype)


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, low: int, high: int, symmetric: bool) -> Tensor:  # noqa: ANN401
        scaled, size, base = _scaled(x, step, symmetric)
        ctx.save_for_backward(scaled)
        ctx.low, ctx.high = low, high
        y = scaled.clamp(low, high).round_().to(x.dtype).mul_(size.to(x.dtype))
        # 0 is added too: it turns -0 into the 0 that integers decode to
        return y.add_(0.0 if base is None else base)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # noqa: ANN401
        (scaled,) = ctx.saved_tensors
        gradient = gradient.to(scaled.dtype)
        just_below, just_above = _beyond(ctx.low, ctx.high)
        # fused passes (the ends are exclusive): a comparison and a where take several times as long on a CPU
        inner = torch.ops.aten.hardtanh_backward(scaled, scaled, just_below, just_above)
        slope = scaled.clamp(ctx.low, ctx.high).round_().sub_(inner).mul_(gradient).sum()
        passed = torch.ops.aten.hardtanh_backward(gradient, scaled, just_below, just_above)
        return passed, slope / math.sqrt(scaled.numel() * ctx.high), None, None, None


def _scaled(x: Tensor, step: Tensor, symmetric: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """x in steps from the base, before rounding; the step that holds; the base."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))  # half precision is too coarse to find levels
    size = step.to(wide.dtype).clamp(min=_SMALLEST)
    if symmetric:
        return wide / size, size, None
    base = x.amin()
    return (wide - base).div_(size), size, base


def _beyond(low: int, high: int) -> tuple[float, float]:
    """The float32 numbers next to a range; no value lies below 0 where the range starts at it."""
    toward = np.float32(np.inf)
    return float(np.nextafter(np.float32(low), -toward)) if low else -1.0, float(np.nextafter(np.float32(high), toward))
