"""Selected or not: attention scores as one bit."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions, clipped_ste


@frozen(kw_only=True)
class Bool(QuantizerOptions):
    """Selected or not: 1 for positive values, 0 for the others, one bit each; for attention without softmax."""

    kind = "bool"
    as_in_paper: bool = False  #: 0 is selected, and the gradient passes at |x| = 1; false: neither (the code)

    def build(self, shape: torch.Size) -> BoolQuantizer:
        """A quantizer without state."""
        return BoolQuantizer(self)


class BoolQuantizer(Quantizer):
    """1 where x > 0, else 0: the keys that a query attends to.

    Shape: any -> the same.
    Gradient: 1 where |x| < 1, else 0; so masked scores (about -10000) have none.
    Source: BiBERT, arXiv:2203.06390, section 3.2 (the function "bool" of Bi-Attention), as in its published code.
    Differs: the paper selects where x >= 0, with the gradient where |x| <= 1: `as_in_paper`. Scores that dropout sets
    to 0 are selected then.

    >>> BoolQuantizer(Bool())(torch.tensor([-0.5, 0.0, 0.25]))
    tensor([0., 0., 1.])
    """

    bits = 1
    row_wise = True

    def __init__(self, options: Bool) -> None:
        super().__init__()
        self.as_in_paper = options.as_in_paper

    def forward(self, x: Tensor) -> Tensor:
        """0 or 1."""
        return clipped_ste(self._quantized(x), x, -1.0, 1.0, strict=not self.as_in_paper)

    def encode(self, x: Tensor) -> Codes:
        """Levels 0 and 1."""
        return Codes(levels=self._quantized(x).to(torch.int8), step=x.new_ones(()), bits=self.bits)

    def _quantized(self, x: Tensor) -> Tensor:
        # written as numbers at once: a comparison that is converted takes several times as long on a CPU
        y = torch.empty_like(x)
        return torch.ge(x.detach(), 0, out=y) if self.as_in_paper else torch.gt(x.detach(), 0, out=y)
