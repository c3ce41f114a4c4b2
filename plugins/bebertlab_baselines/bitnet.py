"""BitNet b1.58: weights rounded to -1, 0 or +1 times their mean magnitude."""

from __future__ import annotations

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions, straight_through
from bebertlab_baselines.groups import Granularity, mean


@frozen(kw_only=True)
class Bitnet(QuantizerOptions):
    """Weights: the nearest of minus the mean magnitude, zero and plus the mean magnitude; two bits each."""

    kind = "bitnet"
    granularity: Granularity = field(
        default="tensor", validator=validators.in_(("tensor", "row"))
    )  #: what shares a scale: the whole tensor, or each row
    epsilon: float = field(default=1e-5, validator=validators.gt(0))  #: added to the scale that weights are divided by

    def build(self, shape: torch.Size) -> BitnetQuantizer:
        """A quantizer without state."""
        return BitnetQuantizer(self)


class BitnetQuantizer(Quantizer):
    """Ternary weights by the mean magnitude of the tensor, or of the row.

    s = mean |w|,  q = s * max(-1, min(1, round(w / (s + epsilon)))).
    Shape: (O, I) -> (O, I), or any other.
    Gradient: 1 (straight-through); s is a constant.
    Source: BitNet b1.58, arXiv:2402.17764, section 2, equations 1 to 3.
    Differs: three levels carry 1.58 bits of information; packed they take 2. The code in the authors' notes holds the
    scale at 1e-5 or more, where the paper adds an epsilon.

    >>> BitnetQuantizer(Bitnet())(torch.tensor([[-2.0, 0.4, 0.6, 1.0]]))
    tensor([[-1.,  0.,  1.,  1.]])
    """

    bits = 2

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
        return Codes(levels=levels.to(torch.int8), step=step, bits=self.bits)

    def _quantized(self, w: Tensor) -> tuple[Tensor, Tensor]:
        step = mean(w.abs(), self.granularity)
        # adding 0 turns -0 into the 0 that integers decode to
        return (w / (step + self.epsilon)).clamp_(-1.0, 1.0).round_().add_(0.0), step
