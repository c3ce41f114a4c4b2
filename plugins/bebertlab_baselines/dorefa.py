"""DoReFa-Net: weights squashed by tanh, activations clipped at 1, both at evenly spaced levels."""

from __future__ import annotations

from typing import Any

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
    LevelGrid,
    Quantizer,
    QuantizerOptions,
    at_least_float32,
    clipped_ste,
    group_max,
    group_mean,
    group_sum,
    integer_dtype,
    sign,
    straight_through,
)


@frozen(kw_only=True)
class Dorefa(QuantizerOptions):
    """Weights: tanh, then evenly spaced levels between plus and minus the largest; 1 bit is the scaled sign."""

    kind = "dorefa"
    revision = 2
    applies_to = "weights"
    bits: int = field(default=4, validator=[validators.ge(1), validators.le(8)])  #: of a level
    granularity: Granularity = field(
        default="tensor", validator=validators.in_(GRANULARITIES)
    )  #: group that shares a range: the whole tensor, or each row
    unit_range: bool = True  #: from -1 to 1, as published; false: from -max |tanh w| to it, the size of the weights
    as_published: bool = False  #: as in the published code, zeros give NaN, or with 1 bit are a third level

    def build(self, shape: torch.Size) -> Quantizer:
        """A stateless quantizer."""
        return DorefaSignQuantizer(self) if self.bits == 1 else DorefaQuantizer(self)


class DorefaQuantizer(Quantizer):
    """Evenly spaced levels for the normalised tanh of the weights.

    t = tanh w,  m = max |t|,  n = 2^bits - 1,  q = 2 round(n (t / (2 m) + 1/2)) / n - 1;
    with `unit_range=False` that times m.
    Shape: (O, I) -> (O, I), or any other.
    Gradient, with g the upstream gradient: rounding passes it, tanh and the normalization have their derivatives, the
    maximum included: (1 - t^2) (g / m - sign(t) / m^2 sum(g t) / k where |t| = m), k the number of such weights;
    with `unit_range=False`, where q is about t, it is (1 - t^2) g.
    Source: DoReFa-Net, arXiv:1606.06160, section 2.3, and its published code.
    Differs: a tensor (or row) of zeros gives zeros, in the unit range without a gradient; `as_published` gives NaN.
    `unit_range=False` is not in the paper, whose layers are normalised after each product; those of a BERT are not.

    >>> DorefaQuantizer(Dorefa(bits=2))(torch.tensor([[-0.9, 0.1, 0.3, 0.0]]))
    tensor([[-1.0000,  0.3333,  0.3333,  0.3333]])
    """

    def __init__(self, options: Dorefa) -> None:
        super().__init__()
        self.alphabet = Alphabet.unsigned(options.bits)
        self.highest = self.alphabet.high
        self.granularity = options.granularity
        self.unit_range = options.unit_range
        self.as_published = options.as_published
        self.row_wise = options.granularity == "row"

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at the nearest level."""
        options = self.highest, self.granularity, self.unit_range, self.as_published
        y: Tensor = _Quantize.apply(x, *options)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels 0 to n, with an offset."""
        squeezed, most = _squeezed(x.detach(), self.granularity, self.as_published)
        step, offset = _grid(most, self.highest, self.unit_range, x.dtype)
        levels = _levels(squeezed, most, self.highest)
        return Codes(levels=levels.to(torch.int32), step=step, offset=offset, alphabet=self.alphabet)


class DorefaSignQuantizer(Quantizer):
    """Binary weights: the sign times the mean magnitude of the tensor or of the row.

    s = mean |w|,  q = s * sign(w).
    Shape: (O, I) -> (O, I), or any other.
    Gradient: 1 (straight-through); s is a constant.
    Source: DoReFa-Net, arXiv:1606.06160, section 2.3 (1 bit).
    Differs: zero counts as +1; with `as_published` it is a third level, 0.

    >>> DorefaSignQuantizer(Dorefa(bits=1))(torch.tensor([[-3.0, 0.0, 1.0, 0.0]]))
    tensor([[-1.,  1.,  1.,  1.]])
    """

    def __init__(self, options: Dorefa) -> None:
        super().__init__()
        self.alphabet = TERNARY if options.as_published else SIGNS
        self.as_published = options.as_published
        self.granularity = options.granularity
        self.row_wise = options.granularity == "row"

    def forward(self, x: Tensor) -> Tensor:
        """Every weight at plus or minus the scale."""
        levels, step = self._quantized(x.detach())
        return straight_through(levels.mul_(step), x)

    def encode(self, x: Tensor) -> Codes:
        """Levels -1 and +1, with `as_published` also 0."""
        levels, step = self._quantized(x.detach())
        return Codes(levels=levels.to(torch.int8), step=step, alphabet=self.alphabet)

    def _quantized(self, w: Tensor) -> tuple[Tensor, Tensor]:
        return sign(w, keep_zero=self.as_published), group_mean(w.abs(), self.granularity)


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own type
        x: Tensor,
        highest: int,
        granularity: Granularity,
        unit: bool,
        published: bool,
    ) -> Tensor:
        squeezed, most = _squeezed(x, granularity, published)
        ctx.save_for_backward(squeezed, most)
        ctx.granularity, ctx.unit = granularity, unit
        step, offset = _grid(most, highest, unit, x.dtype)
        return _levels(squeezed, most, highest).to(x.dtype).mul_(step).add_(offset)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:  # noqa: ANN401
        squeezed, most = ctx.saved_tensors
        wide = gradient.to(squeezed.dtype)
        if ctx.unit:
            inverse = _inverse(most)
            at_most = squeezed.abs().eq_(most)
            # not times the square of the inverse, which is infinite for the smallest weights
            share = group_sum(wide * squeezed, ctx.granularity) * inverse * inverse
            share /= group_sum(at_most, ctx.granularity)
            wide = (wide * inverse).addcmul_(at_most.copysign_(squeezed), share, value=-1)
            # the derivative of tanh in one pass, written into the tensor that it multiplies
            torch.ops.aten.tanh_backward(wide, squeezed, grad_input=wide)
        else:
            wide = torch.ops.aten.tanh_backward(wide, squeezed)
        return wide.to(gradient.dtype), None, None, None, None


def _squeezed(x: Tensor, granularity: Granularity, published: bool) -> tuple[Tensor, Tensor]:
    """tanh, and the largest magnitude of the group; that of zeros is 0, or NaN if `published`."""
    squeezed = at_least_float32(x).tanh()
    most = group_max(squeezed.abs(), granularity)
    return squeezed, torch.where(most == 0, torch.nan, most) if published else most


def _inverse(most: Tensor) -> Tensor:
    """1 / m, and 0 for zeros."""
    return torch.where(most == 0, 0.0, 1 / most)


def _levels(squeezed: Tensor, most: Tensor, highest: int) -> Tensor:
    return (squeezed * (_inverse(most) / 2)).add_(0.5).mul_(highest).round_()


def _grid(most: Tensor, highest: int, unit: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Step and offset."""
    reach = (most != 0).to(most.dtype) if unit else most
    return (reach * (2 / highest)).to(dtype), (-reach).to(dtype)


@frozen(kw_only=True)
class DorefaActivation(QuantizerOptions):
    """Activations: evenly spaced levels from 0 to 1."""

    kind = "dorefa_activation"
    applies_to = "activations"
    bits: int = field(default=4, validator=[validators.ge(1), validators.le(16)])  #: of a level
    signed: bool = False  #: levels from -1 to 1, for inputs of both signs; needs at least 2 bits

    def __attrs_post_init__(self) -> None:
        if self.signed and self.bits < 2:
            raise ValueError("bits must be at least 2 if signed is true, got 1")

    def build(self, shape: torch.Size) -> DorefaActivationQuantizer:
        """A stateless quantizer."""
        return DorefaActivationQuantizer(self)


class DorefaActivationQuantizer(Quantizer):
    """Evenly spaced levels from 0 (or -1) to 1.

    unsigned: n = 2^bits - 1, q = round(n min(max(x, 0), 1)) / n;
    signed: n = 2^(bits-1) - 1, q = round(n min(max(x, -1), 1)) / n.
    Shape: any -> the same.
    Gradient: 1 where 0 <= x <= 1 (signed: where -1 <= x <= 1), else 0.
    Source: DoReFa-Net, arXiv:1606.06160, section 2.4.
    Differs: the paper limits activations to [0, 1]; the signed form, for the hidden states of a BERT, is added here.

    >>> DorefaActivationQuantizer(DorefaActivation(bits=2))(torch.tensor([-1.0, 0.4, 0.9, 3.0]))
    tensor([0.0000, 0.3333, 1.0000, 1.0000])
    """

    grid_shift = None  #: nothing is added to x

    def __init__(self, options: DorefaActivation) -> None:
        super().__init__()
        self.alphabet = Alphabet.symmetric(options.bits) if options.signed else Alphabet.unsigned(options.bits)
        self.low = -1.0 if options.signed else 0.0
        self.highest = self.alphabet.high

    def forward(self, x: Tensor) -> Tensor:
        """Every value at the nearest level."""
        levels = self._levels(x.detach())
        return clipped_ste(levels.mul_(self._step(levels)), x, self.low, 1.0)

    def encode(self, x: Tensor) -> Codes:
        """Levels 0 to n, or -n to n."""
        levels = self._levels(x.detach())
        dtype = integer_dtype(self.alphabet.low, self.highest)
        return Codes(levels=levels.to(dtype), step=self._step(levels), alphabet=self.alphabet)

    def level_grid(self, smallest: float, largest: float) -> LevelGrid:
        """The same grid for every tensor."""
        return LevelGrid(step=1 / self.highest, clip_low=self.low, clip_high=1.0, factor=self.highest)

    def _levels(self, x: Tensor) -> Tensor:
        # adding 0 turns -0 into the 0 that integers decode to
        return at_least_float32(x).clamp(self.low, 1.0).mul_(self.highest).round_().add_(0.0).to(x.dtype)

    def _step(self, levels: Tensor) -> Tensor:
        return levels.new_tensor(1 / self.highest)
