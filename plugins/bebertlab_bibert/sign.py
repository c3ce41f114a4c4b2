"""Binary activations: the sign."""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions, clipped_ste, sign


@frozen(kw_only=True)
class Sign(QuantizerOptions):
    """Binary activations: -1 and +1, one bit each."""

    kind = "sign"
    strict: bool = False  #: no gradient at |x| = 1 itself (BiBERT's Q, K, V); false: none beyond it (inputs of linears)
    scaled: bool = False  #: times the mean |x| of the whole tensor, padding included (BEBERT's copy of BiBERT)
    as_published: bool = False  #: zeros as in the published code: a third value, 0, in two bits

    def build(self, shape: torch.Size) -> SignQuantizer:
        """A quantizer without state."""
        return SignQuantizer(self)


class SignQuantizer(Quantizer):
    """Binary activations: the sign, or the sign times the mean magnitude of the tensor.

    q = sign(x);  scaled: q = s * sign(x), s = mean |x|.
    Shape: any -> the same.
    Gradient: 1 where |x| <= 1 (strict: < 1), else 0; s is a constant, and no factor of the gradient.
    Source: BiBERT, arXiv:2203.06390, section 2.2, and its published code; scaled: the BEBERT code.
    Differs: zero counts as +1 and so fits one bit; `as_published` maps it to 0, so that zeros of dropout and the
    contexts of queries that select nothing stay zeros.

    >>> SignQuantizer(Sign())(torch.tensor([-3.0, 0.0, 0.5]))
    tensor([-1.,  1.,  1.])
    >>> SignQuantizer(Sign(scaled=True))(torch.tensor([-3.0, 1.0]))
    tensor([-2.,  2.])
    """

    def __init__(self, options: Sign) -> None:
        super().__init__()
        self.bits = 2 if options.as_published else 1
        self.strict, self.scaled, self.as_published = options.strict, options.scaled, options.as_published
        self.row_wise = not options.scaled

    def forward(self, x: Tensor) -> Tensor:
        """Every value at minus or plus the scale."""
        levels, step = self._quantized(x)
        return clipped_ste(levels if step is None else levels.mul_(step), x, -1.0, 1.0, strict=self.strict)

    def forward_unscaled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The signs, and the scale apart."""
        levels, step = self._quantized(x)
        source = x if step is None else _divided(x, step)
        return clipped_ste(levels, source, -1.0, 1.0, strict=self.strict), step

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        levels, step = self._quantized(x)
        return Codes(levels=levels.to(torch.int8), step=x.new_ones(()) if step is None else step, bits=self.bits)

    def _quantized(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        x = x.detach()  # the gradient is known: record nothing
        levels = torch.sign(x) if self.as_published else sign(x)
        return levels, x.abs().mean() if self.scaled else None


def _divided(x: Tensor, scale: Tensor) -> Tensor:
    """x, whose gradient is divided by a scale."""
    y: Tensor = _Divided.apply(x, scale)  # type: ignore[no-untyped-call]
    return y


class _Divided(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor) -> Tensor:  # noqa: ANN401 - torch's own type
        ctx.save_for_backward(scale)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's own type
        (scale,) = ctx.saved_tensors
        return gradient / scale.clamp(min=torch.finfo(scale.dtype).tiny), None
