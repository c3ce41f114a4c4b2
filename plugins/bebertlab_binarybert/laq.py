"""Loss-aware weights: levels and scale fitted alternately."""

from __future__ import annotations

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import (
    GRANULARITIES,
    SIGNS,
    TERNARY,
    Alphabet,
    Codes,
    Granularity,
    Quantizer,
    QuantizerOptions,
    at_least_float32,
    group_mean,
    group_sum,
    integer_dtype,
    sign,
    straight_through,
)

_ITERATIONS = 10  #: as in the published code, also after convergence


@frozen(kw_only=True)
class Laq(QuantizerOptions):
    """Levels and scale fitted alternately, as if all weights were equally important to the loss."""

    kind = "laq"
    bits: int = field(default=2, validator=[validators.ge(1), validators.le(16)])  #: of a level; 1 is `bwn`
    granularity: Granularity = field(
        default="tensor", validator=validators.in_(GRANULARITIES)
    )  #: group that shares a scale: the whole tensor, or each row
    as_published: bool = False  #: zeros and empty groups as in the published code

    def build(self, shape: torch.Size) -> LaqQuantizer:
        """A stateless quantizer."""
        return LaqQuantizer(self)


class LaqQuantizer(Quantizer):
    """Loss-aware quantization where the diagonal of the Hessian is taken as 1 everywhere.

    1 bit: a = mean |w|, q = a sign(w). k bits: n = 2^(k-1) - 1; starting with b = sign(w), eleven times in turn
    a = sum |b w| / sum |b| and b = round(n min(max(w / a, -1), 1)) / n; q = a b, per tensor or per row.
    Shape: (O, I) -> (O, I), or any other.
    Gradient: 1 (straight-through); a and b are constants.
    Source: Loss-aware binarization and quantization, arXiv:1611.01600 and arXiv:1802.08635; BinaryBERT's code.
    Differs: the papers weight by Adam's second moments, which neither the published code nor this does. With 1 bit zero
    counts as +1 (published: a third level, 0), with more bits a group of zeros gives zeros (published: NaN);
    `as_published` gives the published levels, which take 2 bits instead of 1.

    >>> LaqQuantizer(Laq(bits=2))(torch.tensor([[2.0, 1.0, -0.2, 0.0]]))
    tensor([[1.5000, 1.5000, 0.0000, 0.0000]])
    """

    def __init__(self, options: Laq) -> None:
        super().__init__()
        self.granularity = options.granularity
        self.published = options.as_published
        self.row_wise = options.granularity == "row"
        self.binary = options.bits == 1
        binary = TERNARY if self.published else SIGNS
        self.alphabet = binary if self.binary else Alphabet.symmetric(options.bits)
        self.highest = self.alphabet.high

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at a multiple of the scale."""
        levels, step = self._quantized(x)
        return straight_through(levels.mul_(step), x)

    def encode(self, x: Tensor) -> Codes:
        """Levels -n to n."""
        levels, step = self._quantized(x)
        whole = levels.nan_to_num_().to(integer_dtype(-self.highest, self.highest))  # the step is NaN then
        return Codes(levels=whole, step=step, alphabet=self.alphabet)

    def _quantized(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach()  # the gradient is known: no graph is needed
        if self.binary:
            return sign(x, keep_zero=self.published), group_mean(x.abs(), self.granularity)
        wide = at_least_float32(x)
        magnitudes = wide.abs()
        fractions = self._fractions(magnitudes, self._scale(magnitudes, magnitudes.sign()))
        for _ in range(_ITERATIONS):
            scale = self._scale(magnitudes, fractions)
            fractions = self._fractions(magnitudes, scale)
        # magnitudes, signed at the end: no pass for absolute values in every iteration
        levels = fractions.mul_(self.highest).round_().mul_(wide.sign()).add_(0.0)  # adding 0 turns -0 into 0
        step = (scale / self.highest).to(x.dtype)
        return levels.to(x.dtype), step

    def _scale(self, magnitudes: Tensor, fractions: Tensor) -> Tensor:
        weight = group_sum(fractions, self.granularity)
        if not self.published:
            weight = weight.clamp(min=torch.finfo(weight.dtype).tiny)
        return group_sum(fractions * magnitudes, self.granularity) / weight

    def _fractions(self, magnitudes: Tensor, scale: Tensor) -> Tensor:
        if not self.published:
            scale = scale.clamp(min=torch.finfo(scale.dtype).tiny)
        return (magnitudes / scale).clamp_(max=1.0).mul_(self.highest).round_().div_(self.highest)
