"""Ternary weights: large ones at one magnitude, small ones at zero."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import (
    GRANULARITIES,
    TERNARY,
    Codes,
    Granularity,
    Quantizer,
    QuantizerOptions,
    group_mean,
    group_sum,
    straight_through,
)


@frozen(kw_only=True)
class Twn(QuantizerOptions):
    """Ternary weights: a * sign(w) where |w| is large, else 0; two bits each."""

    kind = "twn"
    granularity: Granularity = field(
        default="tensor", validator=validators.in_(GRANULARITIES)
    )  #: group that shares a scale: the whole tensor, or each row (BinaryBERT's word embedding)
    threshold: float = field(
        default=0.7, validator=[validators.gt(0), validators.lt(1)]
    )  #: a weight is large above this times the mean magnitude
    clip: float | None = field(
        default=None, validator=validators.optional(validators.gt(0))
    )  #: weights are clipped here first and have no gradient beyond (TernaryBERT: 2.5)
    as_published: bool = False  #: a row (or tensor) of zeros gives NaN, as in the published code

    def build(self, shape: torch.Size) -> TwnQuantizer:
        """A stateless quantizer."""
        return TwnQuantizer(self)


class TwnQuantizer(Quantizer):
    """Ternary weights: one magnitude for large weights, zero for small ones, per tensor or per row.

    d = threshold * mean |w|,  a = mean of |w| over |w| > d,  q = a * sign(w) where |w| > d, else 0.
    Shape: (O, I) -> (O, I), or any other.
    Gradient: 1 (straight-through), with `clip` only where |w| < clip; d and a are constants.
    Source: Ternary Weight Networks, arXiv:1605.04711; BinaryBERT, arXiv:2012.15701, section 2.1;
    `clip`: TernaryBERT, arXiv:2009.12812, its published code.
    Differs: a row of zeros gives zeros; the published code gives NaN, as does `as_published`.

    >>> TwnQuantizer(Twn(granularity="row"))(torch.tensor([[-2.0, 0.1, 1.0], [0.0, 0.0, 0.0]]))
    tensor([[-1.5000,  0.0000,  1.5000],
            [ 0.0000,  0.0000,  0.0000]])
    """

    alphabet = TERNARY

    def __init__(self, options: Twn) -> None:
        super().__init__()
        self.granularity = options.granularity
        self.threshold = options.threshold
        self.clip = options.clip
        self.least_count = 0 if options.as_published else 1  #: of the large weights whose mean is the scale
        self.row_wise = options.granularity == "row"

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at minus the scale, zero or plus the scale."""
        levels, step = self._quantized(x)
        # hardtanh's gradient stops at the clip itself, as in TernaryBERT; clamp's would not
        reached = x if self.clip is None else F.hardtanh(x, -self.clip, self.clip)
        return straight_through(levels.mul_(step), reached)

    def encode(self, x: Tensor) -> Codes:
        """Levels -1, 0 and +1."""
        levels, step = self._quantized(x)
        return Codes(levels=levels.to(torch.int8), step=step, alphabet=self.alphabet)

    def _quantized(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach()  # the gradient is known: no graph is needed
        if self.clip is not None:
            x = x.clamp(-self.clip, self.clip)
        magnitudes = x.abs()
        # 1 where large, else 0, by plain arithmetic: on a CPU a comparison and a where take several times as long
        large = (magnitudes - group_mean(magnitudes, self.granularity) * self.threshold).clamp_(min=0).sign_()
        count = group_sum(large, self.granularity).clamp_(min=self.least_count)
        step = group_sum(magnitudes.mul_(large), self.granularity) / count
        return large.mul_(x.sign()).add_(0.0), step  # adding 0 turns -0 into the 0 that integers decode to
