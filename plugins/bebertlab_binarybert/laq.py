"""Loss-aware weights: levels and scale fitted to each other in turns."""

from __future__ import annotations

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions, at_least_float32, sign, straight_through
from bebertlab_binarybert.granularity import Granularity, mean, total

_ITERATIONS = 10  #: of the published code, whether or not anything still changes


@frozen(kw_only=True)
class Laq(QuantizerOptions):
    """Levels and scale fitted to each other in turns, as if every weight mattered alike to the loss."""

    kind = "laq"
    bits: int = field(default=2, validator=[validators.ge(1), validators.le(16)])  #: of a level; 1 is `bwn`
    granularity: Granularity = field(
        default="tensor", validator=validators.in_(("tensor", "row"))
    )  #: what shares a scale: the whole tensor, or each row
    as_published: bool = False  #: zeros and empty groups as in the published code

    def build(self, shape: torch.Size) -> LaqQuantizer:
        """A quantizer without state."""
        return LaqQuantizer(self)


class LaqQuantizer(Quantizer):
    """Loss-aware quantization where the diagonal of the Hessian is taken as 1 everywhere.

    1 bit: a = mean |w|, q = a sign(w). k bits: n = 2^(k-1) - 1; starting with b = sign(w), eleven times in turn
    a = sum |b w| / sum |b| and b = round(n min(max(w / a, -1), 1)) / n; q = a b, per tensor or per row.
    Shape: (O, I) -> (O, I), or any other.
    Gradient: 1 (straight-through); a and b are constants.
    Source: Loss-aware binarization and quantization, arXiv:1611.01600 and arXiv:1802.08635; BinaryBERT's code.
    Differs: the papers weigh with Adam's second moments, the published code and this do not. With 1 bit zero counts as
    +1 (published: a third value, 0), with more a group of zeros gives zeros (published: NaN); `as_published` gives
    what was published, and 1 bit is 2 then.

    >>> LaqQuantizer(Laq(bits=2))(torch.tensor([[2.0, 1.0, -0.2, 0.0]]))
    tensor([[1.5000, 1.5000, 0.0000, 0.0000]])
    """

    def __init__(self, options: Laq) -> None:
        super().__init__()
        self.granularity = options.granularity
        self.published = options.as_published
        self.row_wise = options.granularity == "row"
        self.binary = options.bits == 1
        self.bits = 2 if self.binary and self.published else options.bits
        self.highest: int = 1 if self.binary else 2 ** (options.bits - 1) - 1

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at a multiple of the scale."""
        levels, step = self._quantized(x)
        return straight_through(levels.mul_(step), x)

    def encode(self, x: Tensor) -> Codes:
        """Levels -n to n."""
        levels, step = self._quantized(x)
        whole = levels.nan_to_num_().to(torch.int8 if self.bits <= 8 else torch.int32)  # the step is NaN then
        return Codes(levels=whole, step=step, bits=self.bits)

    def _quantized(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach()  # the gradient is known: record nothing
        if self.binary:
            return torch.sign(x) if self.published else sign(x), mean(x.abs(), self.granularity)
        wide = at_least_float32(x)
        size = wide.abs()
        part = self._parts(size, self._scale(size, size.sign()))
        for _ in range(_ITERATIONS):
            scale = self._scale(size, part)
            part = self._parts(size, scale)
        # of sizes, and signed at the end: no pass for the absolute values of every turn
        levels = part.mul_(self.highest).round_().mul_(wide.sign()).add_(0.0)  # adding 0 turns -0 into 0
        step = (scale / self.highest).to(x.dtype)
        return levels.to(x.dtype), step

    def _scale(self, size: Tensor, part: Tensor) -> Tensor:
        weight = total(part, self.granularity)
        if not self.published:
            weight = weight.clamp(min=torch.finfo(weight.dtype).tiny)
        return total(part * size, self.granularity) / weight

    def _parts(self, size: Tensor, scale: Tensor) -> Tensor:
        if not self.published:
            scale = scale.clamp(min=torch.finfo(scale.dtype).tiny)
        return (size / scale).clamp_(max=1.0).mul_(self.highest).round_().div_(self.highest)
