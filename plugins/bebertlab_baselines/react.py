"""ReActNet: scaled signs of weights, signs of activations against learned thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from attrs import field, frozen, validators
from torch import Tensor, nn

from bebertlab.api import (
    GRANULARITIES,
    SIGNS,
    TERNARY,
    Codes,
    Granularity,
    ParameterGroup,
    Quantizer,
    QuantizerOptions,
    Threshold,
    at_least_float32,
    clipped_ste,
    group_mean,
    sign,
)


@frozen(kw_only=True)
class ReactWeight(QuantizerOptions):
    """Weights: the sign times the mean magnitude of the row, one bit each."""

    kind = "react_weight"
    applies_to = "weights"
    granularity: Granularity = field(
        default="row", validator=validators.in_(GRANULARITIES)
    )  #: group that shares a scale: each row (a filter of the paper), or the whole tensor
    as_published: bool = False  #: zero is a third level, as in the published code

    def build(self, shape: torch.Size) -> ReactWeightQuantizer:
        """A stateless quantizer."""
        return ReactWeightQuantizer(self)


class ReactWeightQuantizer(Quantizer):
    """Binary weights: the sign times the mean magnitude of the row, or of the tensor.

    s = mean |w|,  q = s * sign(w).
    Shape: (O, I) -> (O, I), or any other.
    Gradient: 1 where |w| <= 1, else 0; s is a constant.
    Source: ReActNet, arXiv:2003.03488, section 4.1, and its published code.
    Differs: zero counts as +1; with `as_published` it is a third level, 0.

    >>> ReactWeightQuantizer(ReactWeight())(torch.tensor([[-3.0, 0.0, 1.0, 0.0]]))
    tensor([[-1.,  1.,  1.,  1.]])
    """

    def __init__(self, options: ReactWeight) -> None:
        super().__init__()
        self.alphabet = TERNARY if options.as_published else SIGNS
        self.as_published = options.as_published
        self.granularity = options.granularity
        self.row_wise = options.granularity == "row"

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at plus or minus the scale."""
        levels, step = self._quantized(x.detach())
        return clipped_ste(levels.mul_(step), x, -1.0, 1.0)

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        levels, step = self._quantized(x.detach())
        return Codes(levels=levels.to(torch.int8), step=step, alphabet=self.alphabet)

    def _quantized(self, w: Tensor) -> tuple[Tensor, Tensor]:
        return sign(w, keep_zero=self.as_published), group_mean(w.abs(), self.granularity)


@frozen(kw_only=True)
class React(QuantizerOptions):
    """Activations: whether a value is above a learned threshold of its channel, -1 or +1; one bit each."""

    kind = "react"
    applies_to = "activations"
    as_published: bool = False  #: a value at its threshold is a third level, as in the published code

    def build(self, shape: torch.Size) -> ReactQuantizer:
        """A quantizer with thresholds of 0."""
        return ReactQuantizer(self, shape[-1:])


class ReactQuantizer(Quantizer):
    """Binary activations without a scale, with a threshold for each channel (RSign).

    q = sign(x - shift).
    Shape: (..., I) -> (..., I); shift is (I,), or one number if I varies.
    Gradient: of the piecewise polynomial that approximates the sign, with v = x - shift: 2 + 2v where -1 <= v < 0,
    2 - 2v where 0 <= v < 1, else 0; to shift minus the sum of that over all elements of the channel.
    Source: ReActNet, arXiv:2003.03488, section 4.2 (RSign); the polynomial: ApproxSign of Bi-Real Net,
    arXiv:1808.00278.
    Differs: a value at its threshold counts as +1; with `as_published` it is a third level, 0. The published code adds
    its shift, where the paper subtracts it.

    >>> ReactQuantizer(React(), torch.Size([3]))(torch.tensor([[-3.0, 0.0, 0.5]]))
    tensor([[-1.,  1.,  1.]], grad_fn=<_QuantizeBackward>)
    """

    def __init__(self, options: React, channels: torch.Size) -> None:
        super().__init__()
        self.alphabet = TERNARY if options.as_published else SIGNS
        self.as_published = options.as_published
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Minus or plus one."""
        y: Tensor = _Quantize.apply(x, self.shift, self.as_published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        above = _above(x.detach(), self.shift.detach())
        levels = sign(above, keep_zero=self.as_published)
        return Codes(levels=levels.to(torch.int8), step=x.new_ones(()), alphabet=self.alphabet)

    def binary_threshold(self) -> Threshold | None:
        """The learned threshold; None where a value on it is a third level."""
        return None if self.as_published else Threshold(step=torch.ones(()), shift=-self.shift.detach())

    def parameter_groups(self) -> Iterable[ParameterGroup]:
        """The thresholds learn like biases, as in the published code."""
        return [ParameterGroup(parameters=(self.shift,), no_decay_group=True)]


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, shift: Tensor, published: bool) -> Tensor:  # noqa: ANN401 - torch's own type
        above = _above(x, shift)
        ctx.save_for_backward(above)
        ctx.channels, ctx.precision = shift.shape, shift.dtype
        return sign(above, keep_zero=published).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401 - torch's own type
        (above,) = ctx.saved_tensors
        # 2 - 2 |v| and never below 0: both halves of the polynomial's derivative
        passed = above.abs().neg_().add_(1.0).clamp_(min=0.0).mul_(2.0).mul_(gradient)
        return passed.to(gradient.dtype), passed.sum_to_size(ctx.channels).neg().to(ctx.precision), None


def _above(x: Tensor, shift: Tensor) -> Tensor:
    return at_least_float32(x) - shift
