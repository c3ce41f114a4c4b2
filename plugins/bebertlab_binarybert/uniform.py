"""Evenly spaced levels over the clipped range of the tensor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from attrs import field, frozen, validators
from torch import Tensor, nn

from bebertlab.api import (
    GRANULARITIES,
    Alphabet,
    Codes,
    Granularity,
    LevelGrid,
    Quantizer,
    QuantizerOptions,
    at_least_float32,
    integer_dtype,
)
from bebertlab_binarybert.grid import Grid, Rule, check_bits, find_grid, find_grids, find_level_grid, gradients


@frozen(kw_only=True)
class Uniform(QuantizerOptions):
    """Evenly spaced levels between the extremes of the tensor, outliers clipped at a learned range."""

    kind = "uniform"
    revision = 4
    bits: int = field(
        default=8, validator=[validators.ge(1), validators.le(16), check_bits]
    )  #: of a level; symmetric ones need 2
    symmetric: bool = True  #: levels mirrored around zero; false: from the smallest value to the largest
    granularity: Granularity = field(
        default="tensor", validator=validators.in_(GRANULARITIES)
    )  #: group that shares a range: the tensor, or each row (each head's matrix where there are four dimensions)
    clip: float = field(default=2.5, validator=validators.gt(0))  #: the clips start at -clip and clip
    learnable: bool = True  #: the two clips are trained; false: they are fixed
    as_published: bool = False  #: a row (or tensor) of zeros gives NaN where symmetric, as in the published code

    def build(self, shape: torch.Size) -> UniformQuantizer:
        """A quantizer with the initial values of its clips."""
        return UniformQuantizer(self)


class UniformQuantizer(Quantizer):
    """Evenly spaced levels over the range that a tensor (or row) has after clipping.

    c = min(max(x, low), high);
    symmetric: n = 2^(bits-1) - 1, m = max |c|, q = round(c n / m) m / n;
    asymmetric: n = 2^bits - 1, b = min c, m = max c - b + 1e-8, q = round((c - b) n / m) m / n + b.
    Shape: any -> the same. A row is the last dimension; in (B, A, T, D) it is all of (T, D).
    Gradient: 1 where low < x < high, else 0; to high the sum over x >= high, to low the sum over x <= low; the
    range (m, b) is a constant.
    Source: TernaryBERT, arXiv:2009.12812, section 3.1; learned clips: PACT, arXiv:1805.06085, and BinaryBERT's code.
    Differs: zeros give zeros; in the published code, and with `as_published`, a symmetric row of zeros gives NaN.

    >>> UniformQuantizer(Uniform(bits=2, learnable=False))(torch.tensor([-3.0, 0.3, 1.5]))
    tensor([-2.5000,  0.0000,  2.5000])
    """

    clip: Tensor  #: (low, high)
    grid_shift = None  #: nothing is added to x

    def __init__(self, options: Uniform) -> None:
        super().__init__()
        self.alphabet = Alphabet.symmetric(options.bits) if options.symmetric else Alphabet.unsigned(options.bits)
        self.symmetric = options.symmetric
        self.row_wise = options.granularity == "row"
        self._rule: Rule = options.bits, self.symmetric, self.row_wise, options.as_published
        clip = torch.tensor([-options.clip, options.clip])
        if options.learnable:
            self.clip = nn.Parameter(clip)
        else:
            self.register_buffer("clip", clip)

    def forward(self, x: Tensor) -> Tensor:
        """Every value at the nearest level."""
        y: Tensor = _Quantize.apply(x, (self._rule,), self.clip)  # type: ignore[no-untyped-call]
        return y

    def forward_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        """One tensor where nothing is clipped; without gradients also for branches with equal clips (on a CPU)."""
        uniform = self._uniform(others)
        if uniform is None:
            return [self(x), *(other(x) for other in others)]
        rules, clips = tuple(branch._rule for branch in uniform), [branch.clip for branch in uniform]
        if torch.is_grad_enabled():
            values = _Quantize.apply(x, rules, *clips)  # type: ignore[no-untyped-call]
            return [values] * len(rules) if isinstance(values, Tensor) else list(values)
        grid, *grids = find_grids(x, clips, rules)
        y = grid.values(x)
        return [y, *(y if other.equals(grid) else other.values(x) for other in grids)]

    def encode(self, x: Tensor) -> Codes:
        """Levels -n to n, or 0 to n with an offset."""
        x = x.detach()
        return self._codes(x, find_grid(x, self.clip.detach(), *self._rule))

    def encode_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Codes]:
        """Equal codes are one object (on a CPU)."""
        uniform = self._uniform(others)
        if uniform is None:
            return [self.encode(x), *(other.encode(x) for other in others)]
        x = x.detach()
        grids = find_grids(x, [branch.clip.detach() for branch in uniform], [branch._rule for branch in uniform])
        first = self._codes(x, grids[0])
        return [
            first if grids[0].equals(grid) else branch._codes(x, grid)
            for branch, grid in zip(uniform, grids, strict=True)
        ]

    def level_grid(self, smallest: float, largest: float) -> LevelGrid | None:
        """The grid of the whole tensor; None with a range for each row."""
        bits, symmetric, rows, published = self._rule
        if rows:
            return None
        return find_level_grid((smallest, largest), self.clip.tolist(), bits, symmetric, published)

    def _uniform(self, others: Sequence[Quantizer]) -> list[UniformQuantizer] | None:
        """This quantizer and the others; None where one is of another kind and has no grid to compare."""
        uniform = [self, *(other for other in others if isinstance(other, UniformQuantizer))]
        return uniform if len(uniform) > len(others) else None

    def _codes(self, x: Tensor, grid: Grid) -> Codes:
        levels, step = grid.levels(x), grid.step(x.dtype)
        if not isinstance(step, float) or step != step:
            levels = levels.nan_to_num_()
        return Codes(
            levels=levels.to(integer_dtype(self.alphabet.low, self.alphabet.high)),
            step=torch.as_tensor(step, dtype=x.dtype, device=x.device),
            offset=None if self.symmetric else torch.as_tensor(grid.base(x.dtype), dtype=x.dtype, device=x.device),
            alphabet=self.alphabet,
        )


class _Quantize(torch.autograd.Function):
    """x quantized by each branch (a rule and clips); one tensor where values and gradients of all are equal."""

    # forward with ctx, not setup_context: a call of that takes three times as long
    @staticmethod
    def forward(ctx: Any, x: Tensor, rules: tuple[Rule, ...], *clips: Tensor) -> Tensor | tuple[Tensor, ...]:  # noqa: ANN401
        first, *others = grids = find_grids(x, clips, rules)
        ctx.inside, ctx.branches = all(grid.inside for grid in grids), len(grids)
        if not ctx.inside:
            ctx.numbers = [(grid.low, grid.high) if isinstance(grid.low, float) else None for grid in grids]
            ctx.save_for_backward(x, *clips)
        if not others or (ctx.inside and all(grid.equals(first) for grid in others)):
            return first.values(x)
        return tuple(grid.values(x) for grid in grids)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's own type
        if ctx.inside:
            gradient = reduce(torch.add, upstream)
            # zeros, not None: an optimizer should update a clip in every step or in none
            return gradient, None, *(gradient.new_zeros(2) for _ in range(ctx.branches))
        x, *clips = ctx.saved_tensors
        dtype = x.dtype
        if x.is_cpu:  # float32 takes no longer there, and its sums are more precise
            x, upstream = at_least_float32(x), tuple(map(at_least_float32, upstream))
        passed, ends = [], []
        for gradient, clip, numbers in zip(upstream, clips, ctx.numbers, strict=True):
            low, high = numbers or clip.unbind()
            to_x, to_clip = gradients(gradient, x, low, high)
            passed.append(to_x)
            ends.append(to_clip)
        return reduce(torch.add, passed).to(dtype), None, *ends
