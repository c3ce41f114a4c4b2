"""Binary values around their mean: the sign of the distance from it times the mean magnitude."""

from __future__ import annotations

from typing import Literal

import torch
from attrs import field, frozen, validators
from torch import Tensor, nn

from bebertlab.api import Codes, ParameterGroup, Quantizer, QuantizerOptions, sign, straight_through
from bebertlab_bit.shift import LASTING, add_shift, groups, new_shift

#: one scale for the whole tensor, or one for each row (the last dimension: an output, a word)
Granularity = Literal["tensor", "row"]


@frozen(kw_only=True)
class CentredSign(QuantizerOptions):
    """Binary weights of BiT: the sign of what lies above the mean of the tensor, one bit each."""

    kind = "bit"
    granularity: Granularity = field(
        default="tensor", validator=validators.in_(("tensor", "row"))
    )  #: what shares a scale: the whole tensor, or each row (BiT's word embedding); all share the mean
    shift: bool = False  #: a number for each channel is learned and added first (activations of BiT, its option bwn)
    as_published: bool = False  #: what lies on the mean becomes a third value, 0, as in the published code

    def build(self, shape: torch.Size) -> CentredSignQuantizer:
        """A quantizer without state, but for the shift."""
        return CentredSignQuantizer(self, shape)


class CentredSignQuantizer(Quantizer):
    """Binary values: the sign of the distance from the mean of the tensor, times its mean magnitude.

    z = x + shift, e = mean z over the whole tensor, s = mean |z| over the tensor or the row,  q = s * sign(z - e).
    Shape: (O, I) -> (O, I), or any other; the shift is (I,).
    Gradient: 1 to x (straight-through, nothing is cut off), to the shift the sum over all rows; e and s are constants.
    Source: BiT, arXiv:2205.13016, its published code (`bwn`), which also offers it for activations.
    Differs: what lies on the mean counts as +1 and so fits one bit; the published code maps it to a third value, 0, as
    does `as_published`, which has two bits therefore.

    >>> x = torch.tensor([[1.0, 3.0], [-2.0, 0.0]])
    >>> CentredSignQuantizer(CentredSign(granularity="row"), x.shape)(x)
    tensor([[ 2.,  2.],
            [-1., -1.]])
    """

    transferable_state = LASTING

    def __init__(self, options: CentredSign, shape: torch.Size) -> None:
        super().__init__()
        self.bits = 2 if options.as_published else 1
        self.row_wise = options.granularity == "row"
        self.as_published = options.as_published
        self.shift: nn.Parameter | None = new_shift(options.kind, shape) if options.shift else None

    def forward(self, x: Tensor) -> Tensor:
        """Every value at plus or minus the scale."""
        return self.forward_rows(x, x)

    def forward_rows(self, rows: Tensor, table: Tensor) -> Tensor:
        """Rows of a table; of the table itself only the mean is computed."""
        shifted = add_shift(rows, self.shift)
        levels, step = self._quantized(shifted, shifted if rows is table else add_shift(table, self.shift))
        return straight_through(levels.mul_(step), shifted)

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        x = add_shift(x, self.shift)
        levels, step = self._quantized(x, x)
        return Codes(levels=levels.to(torch.int8), step=step, bits=self.bits)

    def parameter_groups(self) -> tuple[ParameterGroup, ...]:
        """The shift, where there is one, learns as a bias."""
        return groups(shift=self.shift)

    def _quantized(self, x: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        x, whole = x.detach(), whole.detach()  # the gradient is known: record nothing
        magnitudes = x.abs()
        step = magnitudes.mean(-1, keepdim=True) if self.row_wise else magnitudes.mean()
        centred = torch.sub(x, whole.mean(), out=magnitudes)  # in memory that has served
        return centred.sign_() if self.as_published else sign(centred, out=centred), step
