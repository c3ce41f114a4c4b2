"""DoReFa-Net: activations between 0 and 1."""

from __future__ import annotations

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions, at_least_float32, clipped_ste, integer_dtype


@frozen(kw_only=True)
class DorefaActivation(QuantizerOptions):
    """Activations: evenly spaced levels from 0 to 1."""

    kind = "dorefa_activation"
    bits: int = field(default=4, validator=[validators.ge(1), validators.le(16)])  #: of a level
    signed: bool = False  #: levels from -1 to 1, for inputs of both signs; needs 2 bits or more

    def __attrs_post_init__(self) -> None:
        if self.signed and self.bits < 2:
            raise ValueError("bits is 1 and signed true; levels of both signs need at least 2 bits")

    def build(self, shape: torch.Size) -> DorefaActivationQuantizer:
        """A quantizer without state."""
        return DorefaActivationQuantizer(self)


class DorefaActivationQuantizer(Quantizer):
    """Evenly spaced levels from 0 (or -1) to 1.

    unsigned: n = 2^bits - 1, q = round(n min(max(x, 0), 1)) / n;
    signed: n = 2^(bits-1) - 1, q = round(n min(max(x, -1), 1)) / n.
    Shape: any -> the same.
    Gradient: 1 where 0 <= x <= 1 (signed: where -1 <= x <= 1), else 0.
    Source: DoReFa-Net, arXiv:1606.06160, section 2.4.
    Differs: the paper bounds activations to [0, 1] and so has no signed form, which hidden states of a BERT need.

    >>> DorefaActivationQuantizer(DorefaActivation(bits=2))(torch.tensor([-1.0, 0.4, 0.9, 3.0]))
    tensor([0.0000, 0.3333, 1.0000, 1.0000])
    """

    def __init__(self, options: DorefaActivation) -> None:
        super().__init__()
        self.bits = options.bits
        self.low = -1.0 if options.signed else 0.0
        self.highest: int = 2 ** (self.bits - 1) - 1 if options.signed else 2**self.bits - 1

    def forward(self, x: Tensor) -> Tensor:
        """Every value at the nearest level."""
        levels = self._levels(x.detach())
        return clipped_ste(levels.mul_(self._step(levels)), x, self.low, 1.0)

    def encode(self, x: Tensor) -> Codes:
        """Levels 0 to n, or -n to n."""
        levels = self._levels(x.detach())
        dtype = integer_dtype(int(self.low) * self.highest, self.highest)
        return Codes(levels=levels.to(dtype), step=self._step(levels), bits=self.bits)

    def _levels(self, x: Tensor) -> Tensor:
        # adding 0 turns -0 into the 0 that integers decode to
        return at_least_float32(x).clamp(self.low, 1.0).mul_(self.highest).round_().add_(0.0).to(x.dtype)

    def _step(self, levels: Tensor) -> Tensor:
        return levels.new_tensor(1 / self.highest)
