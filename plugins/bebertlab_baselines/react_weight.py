"""ReActNet: signs of weights times a scale for each row."""

from __future__ import annotations

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions, clipped_ste
from bebertlab_baselines.groups import Granularity, mean
from bebertlab_baselines.signs import sign_bits, signs


@frozen(kw_only=True)
class ReactWeight(QuantizerOptions):
    """Weights: the sign times the mean magnitude of the row, one bit each."""

    kind = "react_weight"
    granularity: Granularity = field(
        default="row", validator=validators.in_(("tensor", "row"))
    )  #: what shares a scale: each row (a filter of the paper), or the whole tensor
    as_published: bool = False  #: zero is a third value, as in the published code

    def build(self, shape: torch.Size) -> ReactWeightQuantizer:
        """A quantizer without state."""
        return ReactWeightQuantizer(self)


class ReactWeightQuantizer(Quantizer):
    """Binary weights: the sign times the mean magnitude of the row, or of the tensor.

    s = mean |w|,  q = s * sign(w).
    Shape: (O, I) -> (O, I), or any other.
    Gradient: 1 where |w| <= 1, else 0; s is a constant.
    Source: ReActNet, arXiv:2003.03488, section 4.1, and its published code.
    Differs: zero counts as +1; `as_published` has it as a third value.

    >>> ReactWeightQuantizer(ReactWeight())(torch.tensor([[-3.0, 0.0, 1.0, 0.0]]))
    tensor([[-1.,  1.,  1.,  1.]])
    """

    def __init__(self, options: ReactWeight) -> None:
        super().__init__()
        self.bits = sign_bits(options.as_published)
        self.as_published = options.as_published
        self.granularity = options.granularity
        self.row_wise = options.granularity == "row"

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at plus or minus the scale."""
        levels, step = self._quantized(x.detach())
        return clipped_ste(levels.mul_(step), x, -1.0, 1.0)

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        levels, step = self._quantized(x.detach())
        return Codes(levels=levels.to(torch.int8), step=step, bits=self.bits)

    def _quantized(self, w: Tensor) -> tuple[Tensor, Tensor]:
        return signs(w, self.as_published), mean(w.abs(), self.granularity)
