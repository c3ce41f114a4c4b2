"""Binary weights: the sign times the mean magnitude."""

from __future__ import annotations

from typing import Any

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import (
    GRANULARITIES,
    SIGNS,
    TERNARY,
    Codes,
    Granularity,
    Quantizer,
    QuantizerOptions,
    group_mean,
    sign,
)


@frozen(kw_only=True)
class Bwn(QuantizerOptions):
    """Binary weights: s * sign(w), one bit each."""

    kind = "bwn"
    granularity: Granularity = field(
        default="tensor", validator=validators.in_(GRANULARITIES)
    )  #: group that shares a scale: the whole tensor, or each row (BinaryBERT's word embedding)
    as_published: bool = False  #: zero is a third level, as in the published code

    def build(self, shape: torch.Size) -> BwnQuantizer:
        """A stateless quantizer."""
        return BwnQuantizer(self.granularity, as_published=self.as_published)


class BwnQuantizer(Quantizer):
    """Binary weights: the sign times the mean magnitude of the tensor or of the row.

    s = mean |w|,  q = s * sign(w).
    Shape: (O, I) -> (O, I), or any other.
    Gradient: 1 (straight-through, not clipped); s is a constant.
    Source: XNOR-Net, arXiv:1603.05279, section 3.1; BinaryBERT, arXiv:2012.15701, section 2.1.
    Differs: zero counts as +1, so one bit is enough; in the published code, and with `as_published`, it is a third
    level, 0, which takes two bits.

    >>> BwnQuantizer("tensor")(torch.tensor([[-3.0, 0.0, 1.0, 0.0]]))
    tensor([[-1.,  1.,  1.,  1.]])
    """

    def __init__(self, granularity: Granularity, *, as_published: bool = False) -> None:
        super().__init__()
        self.alphabet = TERNARY if as_published else SIGNS
        self.published = as_published
        self.granularity = granularity
        self.row_wise = granularity == "row"

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at plus or minus the scale."""
        y: Tensor = _Binarize.apply(x, self.granularity, self.published)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1; with `as_published` also 0."""
        levels, step = _levels(x.detach(), self.granularity, self.published)
        return Codes(levels=levels.to(torch.int8), step=step, alphabet=self.alphabet)


class _Binarize(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, granularity: Granularity, published: bool) -> Tensor:  # noqa: ANN401 - torch's own
        levels, step = _levels(x, granularity, published)
        return levels.mul_(step)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - torch's own type
        return gradient, None, None


def _levels(x: Tensor, granularity: Granularity, published: bool) -> tuple[Tensor, Tensor]:
    magnitudes = x.abs()
    step = group_mean(magnitudes, granularity)
    return sign(x, keep_zero=published, out=magnitudes), step  # reuses memory
