"""BiT's quantizers: binary weights around their mean, elastic activations."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from attrs import field, frozen, validators
from torch import Tensor, nn

from bebertlab.api import (
    GRANULARITIES,
    SIGNS,
    TERNARY,
    Alphabet,
    Codes,
    Granularity,
    LevelGrid,
    ParameterGroup,
    Quantizer,
    QuantizerOptions,
    Threshold,
    UserError,
    at_least_float32,
    group_mean,
    integer_dtype,
    mask_gradient,
    sign,
    straight_through,
)

SMALLEST = 1e-5  #: lower bound of the scale
#: the shift keeps its meaning at any number of bits: the next step of a distillation chain starts from it
SHIFT = frozenset({"shift"})
_SCALE = frozenset({"scale", "initialised"})


@frozen(kw_only=True)
class CentredSign(QuantizerOptions):
    """Binary weights of BiT: whether a weight is above the mean of the tensor, -1 or +1; one bit each."""

    kind = "bit"
    granularity: Granularity = field(
        default="tensor", validator=validators.in_(GRANULARITIES)
    )  #: group that shares a scale: the whole tensor, or each row (BiT's word embedding); all share the mean
    shift: bool = False  #: a learned number per channel is added first (activations of BiT, its option bwn)
    as_published: bool = False  #: a value equal to the mean becomes a third level, 0, as in the published code

    def build(self, shape: torch.Size) -> CentredSignQuantizer:
        """A quantizer whose only state is the shift."""
        return CentredSignQuantizer(self, shape)


class CentredSignQuantizer(Quantizer):
    """Binary values: the sign of the distance from the mean of the tensor, times its mean magnitude.

    z = x + shift, e = mean z over the whole tensor, s = mean |z| over the tensor or the row,  q = s * sign(z - e).
    Shape: (O, I) -> (O, I), or any other; the shift is (I,).
    Gradient: 1 to x (straight-through, not clipped), to the shift the sum over all rows; e and s are constants.
    Source: BiT, arXiv:2205.13016, its published code (`bwn`), which also offers it for activations.
    Differs: a value equal to the mean counts as +1, so one bit is enough; in the published code, and with
    `as_published`, it is a third level, 0, which takes two bits.

    >>> x = torch.tensor([[1.0, 3.0], [-2.0, 0.0]])
    >>> CentredSignQuantizer(CentredSign(granularity="row"), x.shape)(x)
    tensor([[ 2.,  2.],
            [-1., -1.]])
    """

    def __init__(self, options: CentredSign, shape: torch.Size) -> None:
        super().__init__()
        self.alphabet = TERNARY if options.as_published else SIGNS
        self.row_wise = options.granularity == "row"
        self.granularity = options.granularity
        self.as_published = options.as_published
        self.shift: nn.Parameter | None = new_shift(options.kind, shape) if options.shift else None
        self.transferable_state = SHIFT if options.shift else frozenset()

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
        return Codes(levels=levels.to(torch.int8), step=step, alphabet=self.alphabet)

    def parameter_groups(self) -> tuple[ParameterGroup, ...]:
        """The shift, if there is one, learns like a bias."""
        return groups(shift=self.shift)

    def _quantized(self, x: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        x, whole = x.detach(), whole.detach()  # the gradient is known: no graph is needed
        magnitudes = x.abs()
        step = group_mean(magnitudes, self.granularity)
        centred = torch.sub(x, whole.mean(), out=magnitudes)  # reuses memory
        return sign(centred, keep_zero=self.as_published, out=centred), step


@frozen(kw_only=True)
class Elastic(QuantizerOptions):
    """Activations of BiT: one bit or a few, with a learned scale and optionally a learned shift of every channel."""

    kind = "elastic"
    bits: int = field(default=1, validator=[validators.ge(1), validators.le(16)])  #: of a level
    signed: bool = True  #: one bit: -1 and +1, false: 0 and 1; more: around zero, false: from the smallest value up
    shift: bool = False  #: a learned number per channel is added first (inputs of BiT's linear layers)
    keep_scale: bool = True  #: a model keeps the scale when its bits change; false: the next batch initializes it again
    as_published: bool = False  #: signed, of one bit: zero becomes a third level, 0, as in the published code

    def build(self, shape: torch.Size) -> ElasticQuantizer:
        """A quantizer without a scale."""
        return ElasticQuantizer(self, shape)


class ElasticQuantizer(Quantizer):
    """Few levels, with a learned distance for the tensor and a learned shift for each channel.

    z = x + shift, a = max(scale, 1e-5), u = (z - b) / a;
    signed, one bit: q = a * sign(z);  else q = a * min(max(round(u), low), high) + b, where
    unsigned, one bit: low = 0, high = 1, b = 0;  signed: low = -2^(bits-1), high = 2^(bits-1) - 1, b = 0;
    unsigned: low = 0, high = 2^bits - 1, b = min z.
    The first forward pass in training sets scale = 2 mean |z| / sqrt(high), unsigned 4 mean |z| / sqrt(high), where
    high of one bit is 1. In evaluation a scale that was never set is computed for each tensor and not kept.
    (Before `torch.compile` run one training batch, or load a trained state: it is not set in compiled code.)
    Shape: any -> the same; the scale is one number, the shift (I,).
    Gradient: to x 1 where low <= u <= high (signed, one bit: -1 <= u <= 1), else 0; to the shift its sum over
    everything but the channels; to the scale, over sqrt(elements * high), the sum of sign(z) (signed, one bit), or of
    low where u < low, high where u > high, else round(u) - u, also where scale < 1e-5; b is a constant.
    Source: BiT, arXiv:2205.13016 (whose threshold beta is minus the shift), and its published code; more than one bit:
    LSQ, arXiv:1902.08153.
    Differs: zero counts as +1, so one bit is enough; in the published code, and with `as_published`, it is a third
    level, 0, which takes two bits. The published code does not save whether the scale is initialized, and
    initializes a loaded scale of exactly 1 again.

    >>> ElasticQuantizer(Elastic(), torch.Size([2])).eval()(torch.tensor([-0.5, 1.5]))
    tensor([-2.,  2.])
    """

    initialised: Tensor  #: whether the scale was set, a scalar of dtype bool

    def __init__(self, options: Elastic, shape: torch.Size) -> None:
        super().__init__()
        self.levels = Levels.of(options.bits, signed=options.signed, with_zero=options.as_published)
        self.alphabet = self.levels.alphabet()
        kept = SHIFT if options.shift else frozenset()
        self.transferable_state = kept | _SCALE if options.keep_scale else kept
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.shift: nn.Parameter | None = new_shift(options.kind, shape) if options.shift else None
        self.register_buffer("initialised", torch.tensor(False))
        self._ready = False  # the buffer as last read: each read would synchronize with a GPU

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
        """Levels of the given bits; an offset if they start at the smallest value."""
        scale = self.scale if self._is_set() else self._first_scale(x)
        levels, step, base = levels_of(x, scale, self.shift, self.levels)
        return Codes(
            levels=levels.to(integer_dtype(self.levels.low, self.levels.high)),
            step=step.to(x.dtype),
            offset=None if base is None else base.to(x.dtype),
            alphabet=self.alphabet,
        )

    def binary_threshold(self) -> Threshold | None:
        """Of two levels whose scale is set: signs are compared with 0, and 0 and 1 with half a step, which is 0."""
        if self.alphabet.size != 2 or not self._is_set():
            return None
        step = self.scale.detach().clamp(min=SMALLEST)
        shift = None if self.shift is None else self.shift.detach()
        if self.levels.signs:
            return Threshold(step=step, shift=shift)
        # z / step rounds to at most 0.5, which rounds to 0, only where z is at most step / 2
        return Threshold(step=step, shift=shift, border=step / 2, inclusive=False)

    @property
    def grid_shift(self) -> Tensor | None:
        """The learned shift."""
        return None if self.shift is None else self.shift.detach()

    def level_grid(self, smallest: float, largest: float) -> LevelGrid | None:
        """The grid of the learned scale; None for two signs, and where the scale is not set."""
        if self.levels.signs or not self._is_set():
            return None
        step = max(self.scale.item(), SMALLEST)
        base = smallest if self.levels.from_smallest else None
        return LevelGrid(step=step, offset=base, base=base or 0.0, divisor=step)

    def parameter_groups(self) -> tuple[ParameterGroup, ...]:
        """The scale learns like steps and clips, the shift like a bias."""
        return groups(scale=self.scale, shift=self.shift)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - torch's own type
        self._ready = False
        super()._load_from_state_dict(*args, **kwargs)

    def _is_set(self) -> bool:
        if not self._ready:
            self._ready = bool(self.initialised)
        return self._ready

    @torch.no_grad()
    def _first_scale(self, x: Tensor) -> Tensor:
        size = x.to(self.scale.dtype) if self.shift is None else x + self.shift
        factor = 2 if self.levels.signed else 4
        return (size.abs().mean() * (factor / math.sqrt(self.levels.high))).to(self.scale.dtype)


class Levels(NamedTuple):  # not attrs: torch.compile does not follow a frozen class
    """Integers from low to high; one signed bit has its two signs only."""

    low: int
    high: int
    signed: bool
    signs: bool  #: one signed bit: -1 and +1
    with_zero: bool  #: and 0, of what is exactly 0
    from_smallest: bool  #: level 0 is the smallest value of the tensor, not 0

    @classmethod
    def of(cls, bits: int, *, signed: bool, with_zero: bool) -> Levels:
        """The levels of some bits.

        >>> Levels.of(1, signed=True, with_zero=False)[:2], Levels.of(2, signed=True, with_zero=False)[:2]
        ((-1, 1), (-2, 1))
        """
        signs = signed and bits == 1
        low = -(2 ** (bits - 1)) if signed else 0
        return cls(
            low=low,
            high=1 if signs else low + 2**bits - 1,
            signed=signed,
            signs=signs,
            with_zero=signs and with_zero,
            from_smallest=not signed and bits > 1,
        )

    def alphabet(self) -> Alphabet:
        """The integers that these levels are."""
        return Alphabet(self.low, self.high, spacing=2 if self.signs and not self.with_zero else 1)

    def nearest_(self, u: Tensor) -> Tensor:
        """The level of every value in steps, in the memory of u."""
        if self.signs:
            return sign(u, keep_zero=self.with_zero, out=u)
        return u.clamp_(self.low, self.high).round_()


def quantize(x: Tensor, scale: Tensor, shift: Tensor | None, levels: Levels) -> Tensor:
    """Every value at its level; see `ElasticQuantizer` for the formulas and the gradients."""
    y: Tensor = _Quantize.apply(x, scale, shift, levels)  # type: ignore[no-untyped-call]
    return y


def scaled(x: Tensor, scale: Tensor, shift: Tensor | None, levels: Levels) -> tuple[Tensor, Tensor, Tensor | None]:
    """x in steps from level 0, before rounding; the clamped step; the value of level 0, None is exactly 0."""
    wide = _shifted(x, shift)
    step = scale.to(wide.dtype).clamp(min=SMALLEST)
    base = wide.amin() if levels.from_smallest else None
    return _in_steps(wide, step, base, in_place=wide is not x), step, base


def levels_of(x: Tensor, scale: Tensor, shift: Tensor | None, levels: Levels) -> tuple[Tensor, Tensor, Tensor | None]:
    """The level of every value, not yet as an integer; the clamped step; the value of level 0, None is exactly 0."""
    if levels.signs:  # not divided by the step, which would make the smallest numbers 0
        wide = _shifted(x, shift)
        nearest = sign(wide, keep_zero=levels.with_zero, out=None if wide is x else wide)
        return nearest, scale.to(wide.dtype).clamp(min=SMALLEST), None
    u, step, base = scaled(x, scale, shift, levels)
    return levels.nearest_(u), step, base


def _in_steps(wide: Tensor, step: Tensor, base: Tensor | None, *, in_place: bool) -> Tensor:
    if base is not None:
        return (wide - base).div_(step)
    return wide.div_(step) if in_place else wide / step


def _shifted(x: Tensor, shift: Tensor | None) -> Tensor:
    wide = at_least_float32(x)
    return wide if shift is None else wide + shift.to(wide.dtype)


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor | None, levels: Levels) -> Tensor:  # noqa: ANN401
        nearest, step, base = levels_of(x, scale, shift, levels)
        y = nearest.to(x.dtype).mul_(step.to(x.dtype))
        if levels.with_zero or not levels.signs:
            y.add_(0.0 if base is None else base.to(x.dtype))  # 0 turns -0 into the 0 that integers decode to
        ctx.levels = levels
        # x, not u: it is kept anyway, and dividing again is cheap
        ctx.save_for_backward(x, step, shift, base)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:  # noqa: ANN401
        x, step, shift, base = ctx.saved_tensors
        wide, levels = _shifted(x, shift), ctx.levels
        u = _in_steps(wide, step, base, in_place=wide is not x)
        gradient = gradient.to(u.dtype)
        passed = mask_gradient(gradient, u, levels.low, levels.high)
        inner = None if levels.signs else mask_gradient(u, u, levels.low, levels.high)
        slopes = levels.nearest_(u)
        if inner is not None:
            slopes.sub_(inner)
        to_scale = slopes.mul_(gradient).sum() / math.sqrt(u.numel() * levels.high)
        to_shift = None if shift is None else passed.reshape(-1, shift.shape[0]).sum(0)
        return passed, to_scale, to_shift, None


def new_shift(kind: str, shape: torch.Size) -> nn.Parameter:
    """Zeros, one for each channel of a tensor that the quantizer is built for.

    Raises:
        UserError: the last dimension of the tensor varies.
    """
    if not shape:
        raise UserError(
            f"quantizer '{kind}': a shift needs a fixed number of channels, and attention probabilities have as many as"
            " there are tokens; omit `shift` there"
        )
    return nn.Parameter(torch.zeros(shape[-1]))


def add_shift(x: Tensor, shift: Tensor | None) -> Tensor:
    """x + shift in the dtype of x."""
    return x if shift is None else x + shift.to(x.dtype)


def groups(*, shift: nn.Parameter | None, scale: nn.Parameter | None = None) -> tuple[ParameterGroup, ...]:
    """A scale learns like steps and clips; a shift like a bias, as in the published code, which stores it as one."""
    scales = () if scale is None else (ParameterGroup(parameters=(scale,)),)
    return scales if shift is None else (*scales, ParameterGroup(parameters=(shift,), no_decay_group=True))
