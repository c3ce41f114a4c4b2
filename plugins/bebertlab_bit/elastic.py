"""Elastic binarization: levels {-1, +1} or {0, 1} with a learned scale and a learned shift."""

from __future__ import annotations

import math
from typing import Any

import torch
from attrs import field, frozen, validators
from torch import Tensor, nn

from bebertlab.api import Codes, ParameterGroup, Quantizer, QuantizerOptions, integer_dtype
from bebertlab_bit.levels import Levels, quantize, scaled
from bebertlab_bit.shift import LASTING, groups, new_shift


@frozen(kw_only=True)
class Elastic(QuantizerOptions):
    """Activations of BiT: one bit or a few, with a learned scale and, if wanted, a learned shift of every channel."""

    kind = "elastic"
    bits: int = field(default=1, validator=[validators.ge(1), validators.le(16)])  #: of a level
    signed: bool = True  #: one bit: -1 and +1, false: 0 and 1; more: around zero, false: from the smallest value up
    shift: bool = False  #: a number for each channel is learned and added first (inputs of BiT's linears)
    keep_scale: bool = True  #: a model keeps the scale when its bits change; false: the next batch sets it anew
    as_published: bool = False  #: signed, of one bit: zero becomes a third value, 0, as in the published code

    def build(self, shape: torch.Size) -> ElasticQuantizer:
        """A quantizer whose scale is not set yet."""
        return ElasticQuantizer(self, shape)


class ElasticQuantizer(Quantizer):
    """Few levels, their distance learned for the tensor and their place for every channel.

    z = x + shift, a = max(scale, 1e-5), u = (z - b) / a;
    signed, one bit: q = a * sign(z);  else q = a * min(max(round(u), low), high) + b, where
    unsigned, one bit: low = 0, high = 1, b = 0;  signed: low = -2^(bits-1), high = 2^(bits-1) - 1, b = 0;
    unsigned: low = 0, high = 2^bits - 1, b = min z.
    The first forward pass in training sets scale = 2 mean |z| / sqrt(high), unsigned 4 mean |z| / sqrt(high), where
    high of one bit is 1. In evaluation a scale that was never set is found for every tensor anew and not kept.
    (Before `torch.compile` run one training batch, or load a trained state: setting it is not for a compiler.)
    Shape: any -> the same; the scale is one number, the shift (I,).
    Gradient: to x 1 where low <= u <= high (signed, one bit: -1 <= u <= 1), else 0; to the shift its sum over
    everything but the channels; to the scale, over sqrt(elements * high), the sum of sign(z) (signed, one bit), or of
    low where u < low, high where u > high, else round(u) - u, also where scale < 1e-5; b is a constant.
    Source: BiT, arXiv:2205.13016 (whose threshold beta is minus the shift), and its published code; more than one bit:
    LSQ, arXiv:1902.08153.
    Differs: zero counts as +1 and so fits one bit; the published code maps it to a third value, 0, as does
    `as_published`, which has two bits therefore. The published code does not save that the scale was set, and sets a
    loaded scale of exactly 1 anew.

    >>> ElasticQuantizer(Elastic(), torch.Size([2])).eval()(torch.tensor([-0.5, 1.5]))
    tensor([-2.,  2.])
    """

    initialised: Tensor  #: whether the scale was set, a number of type bool

    def __init__(self, options: Elastic, shape: torch.Size) -> None:
        super().__init__()
        self.levels = Levels.of(options.bits, signed=options.signed, with_zero=options.as_published)
        self.bits = self.levels.bits
        self.transferable_state = LASTING | ({"scale", "initialised"} if options.keep_scale else frozenset())
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.shift: nn.Parameter | None = new_shift(options.kind, shape) if options.shift else None
        self.register_buffer("initialised", torch.tensor(False))
        self._ready = False  # what the buffer said when it was last read: reading it would make a GPU wait

    def forward(self, x: Tensor) -> Tensor:
        """Every value at its level."""
        scale = self.scale if self._is_set() else self._first_scale(x)
        if self.training and scale is not self.scale:
            with torch.no_grad():
                self.scale.copy_(scale)
                self.initialised.fill_(True)
            scale = self.scale
        return quantize(x, scale, self.shift, self.levels)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Codes:
        """Levels as the bits have them; an offset where they start at the smallest value."""
        u, step, base = scaled(x, self.scale if self._is_set() else self._first_scale(x), self.shift, self.levels)
        return Codes(
            levels=self.levels.nearest_(u).to(integer_dtype(self.levels.low, self.levels.high)),
            step=step.to(x.dtype),
            offset=None if base is None else base.to(x.dtype),
            bits=self.bits,
        )

    def parameter_groups(self) -> tuple[ParameterGroup, ...]:
        """The scale learns as steps and clips do, the shift as a bias."""
        return groups(scale=self.scale, shift=self.shift)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - torch's own type
        self._ready = False
        super()._load_from_state_dict(*args, **kwargs)

    def _is_set(self) -> bool:
        self._ready = self._ready or bool(self.initialised)
        return self._ready

    @torch.no_grad()
    def _first_scale(self, x: Tensor) -> Tensor:
        size = x.to(self.scale.dtype) if self.shift is None else x + self.shift
        factor = 2 if self.levels.signed else 4
        return (size.abs().mean() * (factor / math.sqrt(self.levels.high))).to(self.scale.dtype)
