"""IR-Net: signs of activations."""

from __future__ import annotations

from typing import Any

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions
from bebertlab_baselines.decay import Decay, decayed
from bebertlab_baselines.signs import sign_bits, signs


@frozen(kw_only=True)
class IrnetActivation(QuantizerOptions):
    """Activations: the sign, one bit each."""

    kind = "irnet_activation"
    first: float = field(default=0.1, validator=validators.gt(0))  #: steepness of the gradient at the beginning
    last: float = field(default=10.0, validator=validators.gt(0))  #: and at the end of the training
    as_published: bool = False  #: zero is a third value, as in the published code

    def build(self, shape: torch.Size) -> IrnetActivationQuantizer:
        """A quantizer whose training begins."""
        return IrnetActivationQuantizer(self)


class IrnetActivationQuantizer(Quantizer):
    """Binary activations without a scale.

    q = sign(x).
    Shape: any -> the same.
    Gradient: k t (1 - tanh(t x)^2); t and k are those of `Decay`, which the training loop tells how far it is.
    Source: IR-Net, arXiv:1909.10788, section 3.3 (error decay estimator).
    Differs: zero counts as +1; `as_published` has it as a third value.

    >>> IrnetActivationQuantizer(IrnetActivation())(torch.tensor([-3.0, 0.0, 0.5]))
    tensor([-1.,  1.,  1.])
    """

    def __init__(self, options: IrnetActivation) -> None:
        super().__init__()
        self.bits = sign_bits(options.as_published)
        self.as_published = options.as_published
        self.decay = Decay(options.first, options.last)

    def progress(self, fraction: float) -> None:
        """Sharpen the gradient."""
        self.decay.progress(fraction)

    def forward(self, x: Tensor) -> Tensor:
        """Minus or plus one."""
        y: Tensor = _Quantize.apply(x, self.decay.steepness, self.decay.factor, self.as_published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        levels = signs(x.detach(), self.as_published)
        return Codes(levels=levels.to(torch.int8), step=x.new_ones(()), bits=self.bits)


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, x: Tensor, steepness: Tensor, factor: Tensor, published: bool) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x, steepness, factor)
        return signs(x, published)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401 - torch's own type
        return decayed(gradient, *ctx.saved_tensors), None, None, None
