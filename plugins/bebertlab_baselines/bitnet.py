"""BitNet b1.58: weights rounded to three levels, activations scaled for each token."""

from __future__ import annotations

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import (
    GRANULARITIES,
    TERNARY,
    Alphabet,
    Codes,
    Granularity,
    Quantizer,
    QuantizerOptions,
    at_least_float32,
    group_mean,
    integer_dtype,
    straight_through,
)


@frozen(kw_only=True)
class Bitnet(QuantizerOptions):
    """Weights: the nearest of minus the mean magnitude, zero and plus the mean magnitude; two bits each."""

    kind = "bitnet"
    applies_to = "weights"
    granularity: Granularity = field(
        default="tensor", validator=validators.in_(GRANULARITIES)
    )  #: group that shares a scale: the whole tensor, or each row
    epsilon: float = field(default=1e-5, validator=validators.gt(0))  #: added to the scale that weights are divided by

    def build(self, shape: torch.Size) -> BitnetQuantizer:
        """A stateless quantizer."""
        return BitnetQuantizer(self)


class BitnetQuantizer(Quantizer):
    """Ternary weights by the mean magnitude of the tensor, or of the row.

    s = mean |w|,  q = s * max(-1, min(1, round(w / (s + epsilon)))).
    Shape: (O, I) -> (O, I), or any other.
    Gradient: 1 (straight-through); s is a constant.
    Source: BitNet b1.58, arXiv:2402.17764, section 2, equations 1 to 3.
    Differs: three levels carry 1.58 bits of information and take 2 when packed. The code in the authors' notes clamps
    the scale to at least 1e-5, where the paper adds an epsilon.

    >>> BitnetQuantizer(Bitnet())(torch.tensor([[-2.0, 0.4, 0.6, 1.0]]))
    tensor([[-1.,  0.,  1.,  1.]])
    """

    alphabet = TERNARY

    def __init__(self, options: Bitnet) -> None:
        super().__init__()
        self.granularity = options.granularity
        self.epsilon = options.epsilon
        self.row_wise = options.granularity == "row"

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at minus the scale, zero or plus the scale."""
        levels, step = self._quantized(x.detach())
        return straight_through(levels.mul_(step), x)

    def encode(self, x: Tensor) -> Codes:
        """Levels -1, 0 and +1."""
        levels, step = self._quantized(x.detach())
        return Codes(levels=levels.to(torch.int8), step=step, alphabet=self.alphabet)

    def _quantized(self, w: Tensor) -> tuple[Tensor, Tensor]:
        step = group_mean(w.abs(), self.granularity)
        # adding 0 turns -0 into the 0 that integers decode to
        return (w / (step + self.epsilon)).clamp_(-1.0, 1.0).round_().add_(0.0), step


_SMALLEST = 1e-5  #: lower bound of the magnitude by which a token is scaled


@frozen(kw_only=True)
class BitnetActivation(QuantizerOptions):
    """Activations: evenly spaced levels between plus and minus the largest magnitude of the token."""

    kind = "bitnet_activation"
    applies_to = "activations"
    bits: int = field(default=8, validator=[validators.ge(2), validators.le(16)])  #: of a level

    def build(self, shape: torch.Size) -> BitnetActivationQuantizer:
        """A stateless quantizer."""
        return BitnetActivationQuantizer(self.bits)


class BitnetActivationQuantizer(Quantizer):
    """Evenly spaced levels, each row scaled by its largest magnitude.

    n = 2^(bits-1) - 1,  m = max(max |x|, 1e-5) of the row,  q = round(x n / m) m / n.
    Shape: (..., I) -> (..., I); a row is the last dimension: a token.
    Gradient: 1 (straight-through); m is a constant.
    Source: BitNet b1.58, arXiv:2402.17764, section 2 (8 bits, per token, no offset); the smallest m: the code in the
    authors' notes.

    >>> BitnetActivationQuantizer(3)(torch.tensor([[-3.0, 0.4, 1.6], [0.0, 0.0, 0.0]]))
    tensor([[-3.,  0.,  2.],
            [ 0.,  0.,  0.]])
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.alphabet = Alphabet.symmetric(bits)
        self.highest = self.alphabet.high
        self.row_wise = True

    def forward(self, x: Tensor) -> Tensor:
        """Every value at the nearest level."""
        levels, step = self._quantized(x.detach())
        return straight_through(levels.mul_(step), x)

    def encode(self, x: Tensor) -> Codes:
        """Levels -n to n."""
        levels, step = self._quantized(x.detach())
        return Codes(levels=levels.to(integer_dtype(-self.highest, self.highest)), step=step, alphabet=self.alphabet)

    def _quantized(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wide = at_least_float32(x)
        most = torch.linalg.vector_norm(wide, torch.inf, dim=-1, keepdim=True).clamp_(min=_SMALLEST)
        # adding 0 turns -0 into the 0 that integers decode to
        levels = (wide * (self.highest / most)).round_().add_(0.0).to(x.dtype)
        return levels, (most / self.highest).to(x.dtype)
