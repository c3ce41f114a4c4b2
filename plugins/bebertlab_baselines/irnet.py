"""IR-Net: signs of balanced and standardised weights, with a power of two as scale."""

from __future__ import annotations

from typing import Any, Literal

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions, at_least_float32
from bebertlab_baselines.decay import Decay, decayed
from bebertlab_baselines.signs import sign_bits, signs

_SMALLEST = 1e-12  #: a standard deviation below this is that of equal weights

ScaleOf = Literal["standardised", "balanced"]


@frozen(kw_only=True)
class Irnet(QuantizerOptions):
    """Weights: the sign after each row got mean 0, times a power of two; one bit each."""

    kind = "irnet"
    scale_of: ScaleOf = field(
        default="standardised", validator=validators.in_(("standardised", "balanced"))
    )  #: whose mean magnitude is the scale: as published, or of the weights before the division by their deviation
    first: float = field(default=0.1, validator=validators.gt(0))  #: steepness of the gradient at the beginning
    last: float = field(default=10.0, validator=validators.gt(0))  #: and at the end of the training
    as_published: bool = (
        False  #: weights at the mean are a third value and equal ones give NaN, as in the published code
    )

    def build(self, shape: torch.Size) -> IrnetQuantizer:
        """A quantizer whose training begins."""
        return IrnetQuantizer(self)


class IrnetQuantizer(Quantizer):
    """Binary weights: the sign of the balanced row times a power of two.

    b = w - mean w,  u = b / std w (with I - 1),  s = 2^round(log2 mean |u|),  q = s * sign(u);
    with `scale_of="balanced"` s = 2^round(log2 mean |b|).
    Shape: (O, I) -> (O, I), or any other; a row is the last dimension.
    Gradient, with g what comes from above: h = g s k t (1 - tanh(t u)^2) to u, and on through the standardisation,
    (h - mean h - u sum(h u) / (I - 1)) / std w; s is a constant; t and k are those of `Decay`, which the training
    loop tells how far it is.
    Source: IR-Net, arXiv:1909.10788, section 3.2 (Libra parameter binarization) and 3.3 (error decay estimator).
    Differs: a weight at the mean counts as +1, and a row of equal weights gives zeros without a gradient;
    `as_published` has a third value for the one and NaN for the other. `scale_of="balanced"` is not in the paper,
    whose layers are normalised after each product; those of a BERT are not, and the scale of standardised weights is
    near 1 whatever the weights. The published code for CIFAR-10 begins at a steepness of 0.001 and is told of whole
    epochs only.

    >>> IrnetQuantizer(Irnet())(torch.tensor([[-3.0, 0.0, 1.0, 4.0], [0.0, 0.0, 0.0, 0.0]]))
    tensor([[-0.5000, -0.5000,  0.5000,  0.5000],
            [ 0.0000,  0.0000,  0.0000,  0.0000]])
    """

    row_wise = True

    def __init__(self, options: Irnet) -> None:
        super().__init__()
        self.bits = sign_bits(options.as_published)
        self.as_published = options.as_published
        self.scale_of = options.scale_of
        self.decay = Decay(options.first, options.last)

    def progress(self, fraction: float) -> None:
        """Sharpen the gradient."""
        self.decay.progress(fraction)

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at plus or minus the scale."""
        decay = self.decay.steepness, self.decay.factor
        y: Tensor = _Quantize.apply(x, *decay, self.scale_of, self.as_published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        standardised, _, scale = _standardised(x.detach(), self.scale_of, self.as_published)
        levels = signs(standardised, self.as_published)
        return Codes(levels=levels.to(torch.int8), step=scale.to(x.dtype), bits=self.bits)


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own type
        x: Tensor,
        steepness: Tensor,
        factor: Tensor,
        scale_of: ScaleOf,
        published: bool,
    ) -> Tensor:
        standardised, inverse, scale = _standardised(x, scale_of, published)
        ctx.save_for_backward(standardised, inverse, scale, steepness, factor)
        return signs(standardised, published).to(x.dtype).mul_(scale.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:  # noqa: ANN401 - torch's own type
        standardised, inverse, scale, steepness, factor = ctx.saved_tensors
        inner = decayed(gradient.to(standardised.dtype), standardised, steepness, factor).mul_(scale * inverse)
        along = (inner * standardised).sum(-1, keepdim=True).div_(_freedom(inner))
        inner = inner.sub_(inner.mean(-1, keepdim=True)).addcmul_(standardised, along, value=-1)
        return inner.to(gradient.dtype), None, None, None, None


def _standardised(x: Tensor, scale_of: ScaleOf, published: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The standardised rows, one over their standard deviations, and their scales."""
    wide = at_least_float32(x)
    balanced = wide - wide.mean(-1, keepdim=True)
    deviation = torch.linalg.vector_norm(balanced, dim=-1, keepdim=True).div_(_freedom(balanced) ** 0.5)
    inverse = 1 / deviation if published else torch.where(deviation > _SMALLEST, 1 / deviation, 0.0)
    magnitude = balanced.abs().mean(-1, keepdim=True)
    magnitude = magnitude * inverse if scale_of == "standardised" else magnitude * (inverse > 0)
    return balanced * inverse, inverse, magnitude.log2().round().exp2()


def _freedom(x: Tensor) -> int:
    """Numbers in a row less the one that the mean takes."""
    return max(x.shape[-1] - 1, 1)
