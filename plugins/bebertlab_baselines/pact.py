"""PACT: activations clipped at a learned value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from attrs import field, frozen, validators
from torch import Tensor, nn

from bebertlab.api import (
    Alphabet,
    Codes,
    LevelGrid,
    ParameterGroup,
    Quantizer,
    QuantizerOptions,
    at_least_float32,
    integer_dtype,
)

_SMALLEST = 1e-5  #: lower bound of the clip


@frozen(kw_only=True)
class Pact(QuantizerOptions):
    """Activations: evenly spaced levels from 0 to a learned clip."""

    kind = "pact"
    bits: int = field(default=4, validator=[validators.ge(1), validators.le(16)])  #: of a level
    signed: bool = False  #: levels from -clip to clip, for inputs of both signs; needs at least 2 bits
    clip: float = field(default=2.5, validator=validators.gt(0))  #: initial value of the clip, alpha in the paper
    decay: float | None = field(
        default=None, validator=validators.optional(validators.ge(0))
    )  #: weight decay of the clip; null: the stage's `quantizer_weight_decay`

    def __attrs_post_init__(self) -> None:
        if self.signed and self.bits < 2:
            raise ValueError("bits must be at least 2 if signed is true, got 1")

    def build(self, shape: torch.Size) -> PactQuantizer:
        """A quantizer with the initial value of its clip."""
        return PactQuantizer(self)


class PactQuantizer(Quantizer):
    """Evenly spaced levels from 0 (or -a) to a, the learned clip.

    a = max(clip, 1e-5);
    unsigned: n = 2^bits - 1, q = round(min(max(x, 0), a) n / a) a / n;
    signed: n = 2^(bits-1) - 1, q = round(min(max(x, -a), a) n / a) a / n.
    Shape: any -> the same.
    Gradient: unsigned: 1 where 0 <= x < a, else 0; to clip the sum over x >= a.
    Signed: 1 where -a < x < a, else 0; to clip the sum over x >= a minus that over x <= -a. Also where clip < 1e-5.
    Source: PACT, arXiv:1805.06085, section 3, equations 1 to 3.
    Differs: in the paper this replaces ReLU; the signed form, for the hidden states of a BERT, is added here. Its L2
    penalty on the clip is the weight decay of a separate parameter group (`decay`). A clip never falls below 1e-5.

    >>> PactQuantizer(Pact(bits=2, clip=1.5))(torch.tensor([-1.0, 0.6, 1.4, 9.0]))
    tensor([0.0000, 0.5000, 1.5000, 1.5000], grad_fn=<_QuantizeBackward>)
    """

    grid_shift = None  #: nothing is added to x

    def __init__(self, options: Pact) -> None:
        super().__init__()
        self.alphabet = Alphabet.symmetric(options.bits) if options.signed else Alphabet.unsigned(options.bits)
        self.signed = options.signed
        self.highest = self.alphabet.high
        self.clip = nn.Parameter(torch.tensor(options.clip))
        self._decay = options.decay

    def forward(self, x: Tensor) -> Tensor:
        """Every value at the nearest level."""
        y: Tensor = _Quantize.apply(x, self.clip, self.highest, self.signed)  # type: ignore[no-untyped-call]
        return y

    def encode(self, x: Tensor) -> Codes:
        """Levels 0 to n, or -n to n."""
        fraction, clip = _fraction(x.detach(), self.clip.detach())
        return Codes(
            levels=_levels(fraction, self.highest, self.signed).to(integer_dtype(self.alphabet.low, self.highest)),
            step=(clip / self.highest).to(x.dtype),
            alphabet=self.alphabet,
        )

    def level_grid(self, smallest: float, largest: float) -> LevelGrid:
        """The grid of the clip."""
        clip = self.clip.detach().clamp(min=_SMALLEST)
        end = clip.item()
        return LevelGrid(
            step=(clip / self.highest).item(),
            clip_low=-end if self.signed else 0.0,
            clip_high=end,
            divisor=end,
            factor=self.highest,
        )

    def parameter_groups(self) -> Iterable[ParameterGroup]:
        """The clip, with its decay."""
        return [ParameterGroup(parameters=(self.clip,), weight_decay=self._decay)]


class _Quantize(torch.autograd.Function):
    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, clip: Tensor, highest: int, signed: bool) -> Tensor:  # noqa: ANN401 - torch's type
        fraction, clip = _fraction(x, clip)
        ctx.save_for_backward(fraction)
        ctx.signed = signed
        # adding 0 turns -0 into the 0 that integers decode to
        return _levels(fraction, highest, signed).to(x.dtype).mul_((clip / highest).to(x.dtype)).add_(0.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401 - torch's own type
        (fraction,) = ctx.saved_tensors
        wide = gradient.to(fraction.dtype)
        # fused passes with exclusive ends: a comparison and a where take several times as long on a CPU.
        # No activation is between -1e-30 and 0, so the interval equals [0, 1)
        passed = torch.ops.aten.hardtanh_backward(wide, fraction, -1.0 if ctx.signed else -1e-30, 1.0)
        beyond = wide - passed
        both = beyond.sum() if ctx.signed else None
        # in place: no third tensor of the size of x
        above = torch.ops.aten.threshold_backward(beyond, fraction, 0.5, grad_input=beyond).sum()
        clip = above if both is None else 2 * above - both
        return passed.to(gradient.dtype), clip, None, None


def _fraction(x: Tensor, clip: Tensor) -> tuple[Tensor, Tensor]:
    """x as a fraction of the clip, and the clip itself, clamped."""
    wide = at_least_float32(x)
    clip = clip.to(wide.dtype).clamp(min=_SMALLEST)
    return wide / clip, clip


def _levels(fraction: Tensor, highest: int, signed: bool) -> Tensor:
    return fraction.clamp(-1.0 if signed else 0.0, 1.0).mul_(highest).round_()
