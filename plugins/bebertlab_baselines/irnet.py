"""IR-Net: signs of balanced weights and of activations, with a gradient that sharpens during the training."""

from __future__ import annotations

from typing import Any, Literal

import torch
from attrs import field, frozen, validators
from torch import Tensor, nn

from bebertlab.api import SIGNS, TERNARY, Codes, Quantizer, QuantizerOptions, at_least_float32, sign


class ErrorDecay(nn.Module):
    """The derivative of k tanh(t x), which replaces that of the sign.

    t = first (last / first)^p,  k = max(1 / t, 1),  p the fraction of the training that is done.
    Source: IR-Net, arXiv:1909.10788, section 3.3 (error decay estimator).

    >>> decay = ErrorDecay(0.1, 10.0)
    >>> decay.progress(0.5)
    >>> decay.steepness, decay.factor
    (tensor(1.), tensor(1.))
    """

    steepness: Tensor  #: t
    factor: Tensor  #: k

    def __init__(self, first: float, last: float) -> None:
        super().__init__()
        self._first, self._last = first, last
        # tensors: torch.compile recompiles for every new Python number; not saved: every training starts at 0
        self.register_buffer("steepness", torch.tensor(0.0), persistent=False)
        self.register_buffer("factor", torch.tensor(0.0), persistent=False)
        self.progress(0.0)

    def progress(self, fraction: float) -> None:
        """Set t and k for a fraction of the training."""
        steepness = self._first * (self._last / self._first) ** fraction
        self.steepness.fill_(steepness)
        self.factor.fill_(max(1 / steepness, 1.0))


def decayed_gradient(gradient: Tensor, x: Tensor, steepness: Tensor, factor: Tensor) -> Tensor:
    """The gradient times k t (1 - tanh(t x)^2)."""
    steep = torch.tanh(x * steepness.to(x.dtype))
    # the derivative of tanh, in one pass
    passed: Tensor = torch.ops.aten.tanh_backward(gradient, steep)
    return passed.mul_((steepness * factor).to(passed.dtype))


_SMALLEST = 1e-12  #: weights with a smaller standard deviation count as equal

ScaleOf = Literal["standardised", "balanced"]


@frozen(kw_only=True)
class Irnet(QuantizerOptions):
    """Weights: the sign of each row minus its mean, times a power of two; one bit each."""

    kind = "irnet"
    applies_to = "weights"
    scale_of: ScaleOf = field(
        default="standardised", validator=validators.in_(("standardised", "balanced"))
    )  #: weights whose mean magnitude is the scale: as published, or before division by the standard deviation
    first: float = field(default=0.1, validator=validators.gt(0))  #: steepness of the gradient at the start
    last: float = field(default=10.0, validator=validators.gt(0))  #: and at the end of the training
    as_published: bool = (
        False  #: as in the published code, weights at the mean are a third level and equal ones give NaN
    )

    def build(self, shape: torch.Size) -> IrnetQuantizer:
        """A quantizer at the start of its training."""
        return IrnetQuantizer(self)


class IrnetQuantizer(Quantizer):
    """Binary weights: the sign of the balanced row times a power of two.

    b = w - mean w,  u = b / std w (with I - 1),  s = 2^round(log2 mean |u|),  q = s * sign(u);
    with `scale_of="balanced"` s = 2^round(log2 mean |b|).
    Shape: (O, I) -> (O, I), or any other; a row is the last dimension.
    Gradient, with g the upstream gradient: h = g s k t (1 - tanh(t u)^2) to u, then through the standardisation,
    (h - mean h - u sum(h u) / (I - 1)) / std w; s is a constant; t and k are those of `ErrorDecay`, which follows the
    progress of the training.
    Source: IR-Net, arXiv:1909.10788, section 3.2 (Libra parameter binarization) and 3.3 (error decay estimator).
    Differs: a weight at the mean counts as +1, and a row of equal weights gives zeros without a gradient; with
    `as_published` the former is a third level and the latter gives NaN. `scale_of="balanced"` is not in the paper,
    whose layers are normalised after each product; those of a BERT are not, and the scale of standardised weights is
    always near 1. The published code for CIFAR-10 starts at a steepness of 0.001 and changes it once an epoch.

    >>> IrnetQuantizer(Irnet())(torch.tensor([[-3.0, 0.0, 1.0, 4.0], [0.0, 0.0, 0.0, 0.0]]))
    tensor([[-0.5000, -0.5000,  0.5000,  0.5000],
            [ 0.0000,  0.0000,  0.0000,  0.0000]])
    """

    row_wise = True

    def __init__(self, options: Irnet) -> None:
        super().__init__()
        self.alphabet = TERNARY if options.as_published else SIGNS
        self.as_published = options.as_published
        self.scale_of = options.scale_of
        self.decay = ErrorDecay(options.first, options.last)

    def progress(self, fraction: float) -> None:
        """Sharpen the gradient."""
        self.decay.progress(fraction)

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at plus or minus the scale."""
        decay = self.decay.steepness, self.decay.factor
        y: Tensor = _BinarizeWeight.apply(x, *decay, self.scale_of, self.as_published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        standardised, _, scale = _standardised(x.detach(), self.scale_of, self.as_published)
        levels = sign(standardised, keep_zero=self.as_published)
        return Codes(levels=levels.to(torch.int8), step=scale.to(x.dtype), alphabet=self.alphabet)


class _BinarizeWeight(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
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
        return sign(standardised, keep_zero=published).to(x.dtype).mul_(scale.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:  # noqa: ANN401 - torch's own type
        standardised, inverse, scale, steepness, factor = ctx.saved_tensors
        inner = decayed_gradient(gradient.to(standardised.dtype), standardised, steepness, factor).mul_(scale * inverse)
        along = (inner * standardised).sum(-1, keepdim=True).div_(_degrees_of_freedom(inner))
        inner = inner.sub_(inner.mean(-1, keepdim=True)).addcmul_(standardised, along, value=-1)
        return inner.to(gradient.dtype), None, None, None, None


def _standardised(x: Tensor, scale_of: ScaleOf, published: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The standardised rows, the inverse of their standard deviations, and their scales."""
    wide = at_least_float32(x)
    balanced = wide - wide.mean(-1, keepdim=True)
    deviation = torch.linalg.vector_norm(balanced, dim=-1, keepdim=True).div_(_degrees_of_freedom(balanced) ** 0.5)
    inverse = 1 / deviation if published else torch.where(deviation > _SMALLEST, 1 / deviation, 0.0)
    magnitude = balanced.abs().mean(-1, keepdim=True)
    magnitude = magnitude * inverse if scale_of == "standardised" else magnitude * (inverse > 0)
    return balanced * inverse, inverse, magnitude.log2().round().exp2()


def _degrees_of_freedom(x: Tensor) -> int:
    return max(x.shape[-1] - 1, 1)


@frozen(kw_only=True)
class IrnetActivation(QuantizerOptions):
    """Activations: the sign, one bit each."""

    kind = "irnet_activation"
    applies_to = "activations"
    first: float = field(default=0.1, validator=validators.gt(0))  #: steepness of the gradient at the start
    last: float = field(default=10.0, validator=validators.gt(0))  #: and at the end of the training
    as_published: bool = False  #: zero is a third level, as in the published code

    def build(self, shape: torch.Size) -> IrnetActivationQuantizer:
        """A quantizer at the start of its training."""
        return IrnetActivationQuantizer(self)


class IrnetActivationQuantizer(Quantizer):
    """Binary activations without a scale.

    q = sign(x).
    Shape: any -> the same.
    Gradient: k t (1 - tanh(t x)^2); t and k are those of `ErrorDecay`, which follows the
    progress of the training.
    Source: IR-Net, arXiv:1909.10788, section 3.3 (error decay estimator).
    Differs: zero counts as +1; with `as_published` it is a third level, 0.

    >>> IrnetActivationQuantizer(IrnetActivation())(torch.tensor([-3.0, 0.0, 0.5]))
    tensor([-1.,  1.,  1.])
    """

    def __init__(self, options: IrnetActivation) -> None:
        super().__init__()
        self.alphabet = TERNARY if options.as_published else SIGNS
        self.as_published = options.as_published
        self.decay = ErrorDecay(options.first, options.last)

    def progress(self, fraction: float) -> None:
        """Sharpen the gradient."""
        self.decay.progress(fraction)

    def forward(self, x: Tensor) -> Tensor:
        """Minus or plus one."""
        y: Tensor = _BinarizeActivation.apply(x, self.decay.steepness, self.decay.factor, self.as_published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        levels = sign(x.detach(), keep_zero=self.as_published)
        return Codes(levels=levels.to(torch.int8), step=x.new_ones(()), alphabet=self.alphabet)


class _BinarizeActivation(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, steepness: Tensor, factor: Tensor, published: bool) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x, steepness, factor)
        return sign(x, keep_zero=published)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401 - torch's own type
        return decayed_gradient(gradient, *ctx.saved_tensors), None, None, None
