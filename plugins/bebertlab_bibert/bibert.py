"""Binary weights: the sign of the centred row times its mean magnitude."""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions, mask_gradient, sign


@frozen(kw_only=True)
class Bibert(QuantizerOptions):
    """Binary weights: the sign after the mean of the row is subtracted, times the row's mean size; one bit each."""

    kind = "bibert"
    as_published: bool = False  #: weights at the mean as in the published code: a third value, 0, in two bits

    def build(self, shape: torch.Size) -> BibertQuantizer:
        """A quantizer without state."""
        return BibertQuantizer(self)


class BibertQuantizer(Quantizer):
    """Binary weights: every row centred, its signs taken, and scaled by the mean magnitude that it had before.

    m = mean of the row,  s = mean |w| of the row,  q = s * sign(w - m).
    Shape: (O, I) -> (O, I), or any other; a row is the last dimension.
    Gradient: G - mean of G over the row, G = gradient where |w - m| <= 1, else 0; s is a constant.
    Source: BiBERT, arXiv:2203.06390, section 2.2, and its published code (linear layers and word embedding alike).
    Differs: a weight at the mean counts as +1 and so fits one bit; `as_published` maps it to 0. The published code adds
    and subtracts clamp(w - m, -1, 1), which rounds its result; here it is exact.

    >>> BibertQuantizer(Bibert())(torch.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 0.0]]))
    tensor([[-3., -3.,  3.],
            [ 0.,  0.,  0.]])
    """

    row_wise = True

    def __init__(self, options: Bibert) -> None:
        super().__init__()
        self.bits = 2 if options.as_published else 1
        self.as_published = options.as_published

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at plus or minus the scale of its row."""
        y: Tensor = _Binarize.apply(x, self.as_published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        x = x.detach()
        mean, step = x.mean(-1, keepdim=True), x.abs().mean(-1, keepdim=True)
        levels = torch.sign(x - mean) if self.as_published else sign(x - mean)
        return Codes(levels=levels.to(torch.int8), step=step, bits=self.bits)


class _Binarize(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, x: Tensor, as_published: bool) -> Tensor:  # noqa: ANN401 - torch's own type
        mean = x.mean(-1, keepdim=True)
        y = x.abs()
        step = y.mean(-1, keepdim=True)
        ctx.inside = ctx.needs_input_grad[0] and _inside(x, mean)
        ctx.save_for_backward(x, mean)
        if as_published:
            return torch.sub(x, mean, out=y).sign_().mul_(step)
        # half of the passes of a sign: 1 at or above the mean, else 0, then exactly +step and -step
        return torch.ge(x, mean, out=y).mul_(2 * step).sub_(step)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's own type
        if ctx.inside:
            return gradient - gradient.mean(-1, keepdim=True), None
        x, mean = ctx.saved_tensors
        # in the memory of the centred weights: no third tensor of the weight's size
        passed = x - mean
        passed = mask_gradient(gradient, passed, -1.0, 1.0, out=passed)
        return passed.sub_(passed.mean(-1, keepdim=True)), None


def _inside(x: Tensor, mean: Tensor) -> bool:
    """Whether no weight is farther than 1 from its mean, as far as is known: a GPU or a compiler would wait for it."""
    if not x.is_cpu or torch.compiler.is_compiling() or not x.numel():
        return False
    (low, high), (lowest, highest) = ([end.item() for end in torch.aminmax(some)] for some in (x, mean))
    return bool(high - lowest <= 1 and low - highest >= -1)
