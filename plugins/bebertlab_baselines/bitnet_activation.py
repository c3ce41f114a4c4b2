"""BitNet b1.58: activations by the largest magnitude of the token."""

from __future__ import annotations

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions, at_least_float32, straight_through

_SMALLEST = 1e-5  #: a token whose values are below this is one of zeros


@frozen(kw_only=True)
class BitnetActivation(QuantizerOptions):
    """Activations: evenly spaced levels between plus and minus the largest magnitude of the token."""

    kind = "bitnet_activation"
    bits: int = field(default=8, validator=[validators.ge(2), validators.le(16)])  #: of a level

    def build(self, shape: torch.Size) -> BitnetActivationQuantizer:
        """A quantizer without state."""
        return BitnetActivationQuantizer(self.bits)


class BitnetActivationQuantizer(Quantizer):
    """Evenly spaced levels for each row by itself, scaled by its largest magnitude.

    n = 2^(bits-1) - 1,  m = max(max |x|, 1e-5) of the row,  q = round(x n / m) m / n.
    Shape: (..., I) -> (..., I); a row is the last dimension: a token.
    Gradient: 1 (straight-through); m is a constant.
    Source: BitNet b1.58, arXiv:2402.17764, section 2 (8 bits, each token, no offset); the smallest m: the code in the
    authors' notes.

    >>> BitnetActivationQuantizer(3)(torch.tensor([[-3.0, 0.4, 1.6], [0.0, 0.0, 0.0]]))
    tensor([[-3.,  0.,  2.],
            [ 0.,  0.,  0.]])
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.highest: int = 2 ** (bits - 1) - 1
        self.row_wise = True

    def forward(self, x: Tensor) -> Tensor:
        """Every value at the nearest level."""
        levels, step = self._quantized(x.detach())
        return straight_through(levels.mul_(step), x)

    def encode(self, x: Tensor) -> Codes:
        """Levels -n to n."""
        levels, step = self._quantized(x.detach())
        return Codes(levels=levels.to(torch.int8 if self.bits <= 8 else torch.int32), step=step, bits=self.bits)

    def _quantized(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wide = at_least_float32(x)
        most = torch.linalg.vector_norm(wide, torch.inf, dim=-1, keepdim=True).clamp_(min=_SMALLEST)
        # adding 0 turns -0 into the 0 that integers decode to
        levels = (wide * (self.highest / most)).round_().add_(0.0).to(x.dtype)
        return levels, (most / self.highest).to(x.dtype)
