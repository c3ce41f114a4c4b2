"""ReActNet: signs of activations against a learned threshold for each channel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.api import Codes, ParameterGroup, Quantizer, QuantizerOptions, at_least_float32
from bebertlab_baselines.signs import sign_bits, signs


@frozen(kw_only=True)
class React(QuantizerOptions):
    """Activations: the sign of what is above a learned threshold of the channel, one bit each."""

    kind = "react"
    as_published: bool = False  #: a value at its threshold is a third value, as in the published code

    def build(self, shape: torch.Size) -> ReactQuantizer:
        """A quantizer with thresholds of 0."""
        return ReactQuantizer(self, shape[-1:])


class ReactQuantizer(Quantizer):
    """Binary activations without a scale, each channel with its own threshold (RSign).

    q = sign(x - shift).
    Shape: (..., I) -> (..., I); shift is (I,), or one number where I varies.
    Gradient: of the piecewise polynomial that approximates the sign, with v = x - shift: 2 + 2v where -1 <= v < 0,
    2 - 2v where 0 <= v < 1, else 0; to shift minus the sum of that over all places of the channel.
    Source: ReActNet, arXiv:2003.03488, section 4.2 (RSign); the polynomial: ApproxSign of Bi-Real Net,
    arXiv:1808.00278.
    Differs: a value at its threshold counts as +1; `as_published` has it as a third value. The published code adds its
    shift, where the paper subtracts it.

    >>> ReactQuantizer(React(), torch.Size([3]))(torch.tensor([[-3.0, 0.0, 0.5]]))
    tensor([[-1.,  1.,  1.]], grad_fn=<_QuantizeBackward>)
    """

    def __init__(self, options: React, channels: torch.Size) -> None:
        super().__init__()
        self.bits = sign_bits(options.as_published)
        self.as_published = options.as_published
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Minus or plus one."""
        y: Tensor = _Quantize.apply(x, self.shift, self.as_published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        above = _above(x.detach(), self.shift.detach())
        levels = signs(above, self.as_published)
        return Codes(levels=levels.to(torch.int8), step=x.new_ones(()), bits=self.bits)

    def parameter_groups(self) -> Iterable[ParameterGroup]:
        """The thresholds learn as biases do, as in the published code."""
        return [ParameterGroup(parameters=(self.shift,), no_decay_group=True)]


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: that one costs three times as much a call
    @staticmethod
    def forward(ctx: Any, x: Tensor, shift: Tensor, published: bool) -> Tensor:  # noqa: ANN401 - torch's own type
        above = _above(x, shift)
        ctx.save_for_backward(above)
        ctx.channels, ctx.precision = shift.shape, shift.dtype
        return signs(above, published).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401 - torch's own type
        (above,) = ctx.saved_tensors
        # 2 - 2 |v| and never below 0: both halves of the polynomial's derivative
        passed = above.abs().neg_().add_(1.0).clamp_(min=0.0).mul_(2.0).mul_(gradient)
        return passed.to(gradient.dtype), passed.sum_to_size(ctx.channels).neg().to(ctx.precision), None


def _above(x: Tensor, shift: Tensor) -> Tensor:
    return at_least_float32(x) - shift
