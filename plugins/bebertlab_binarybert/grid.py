"""Where the levels of a tensor lie: its clips and its range.

On a CPU clips and range are plain numbers: activations are small, and a call of torch costs more than its arithmetic;
also the backward pass has nothing to do where nothing was clipped. On a GPU that would wait for the device, and a
compiler would stop at it: there they are tensors. The results are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from attrs import Attribute
from torch import Tensor

from bebertlab.api import at_least_float32

#: a plain number, or a tensor of one number, or of one a row; Any, as torch takes all of them
Number: TypeAlias = Any

#: of a quantizer: bits, symmetric, one range a row, as published
Rule: TypeAlias = tuple[int, bool, bool, bool]

_SMALLEST = 1e-12  #: a symmetric range below this is that of zeros
_EXTENT = 1e-8  #: added to an asymmetric range, as in the published code
_WIDE = (torch.float32, torch.float64)
_ZERO = torch.zeros(())


def check_bits(options: Any, attribute: Attribute[int], bits: int) -> None:  # noqa: ANN401 - options with `symmetric`
    """A validator: one bit has no level on each side of zero."""
    if options.symmetric and bits < 2:
        raise ValueError(f"'{attribute.name}' must be at least 2 where levels are symmetric: {bits}")


class Grid(NamedTuple):  # not attrs: torch.compile does not follow a frozen class
    """Levels 0 to highest, or -highest to highest, `size / highest` apart."""

    low: Number  #: values are clipped here
    high: Number  #: and here
    size: Number  #: from level 0 to level `highest`
    offset: Number | None  #: value of level 0; None is exactly 0
    highest: int
    inside: bool = False  #: nothing is clipped, as far as is known

    def gives_what(self, other: Grid) -> bool:
        """Whether a tensor gets the same values from the other grid, both found for it; False where that is costly."""
        if not isinstance(self.size, float) or self[2:] != other[2:]:
            return False
        return self.inside or self[:2] == other[:2]

    def levels(self, x: Tensor) -> Tensor:
        """The nearest level of every value, in the dtype of x."""
        wide = at_least_float32(x)
        scale = self.highest / self.size
        if self.inside:
            own: Tensor = wide * scale if self.offset is None else (wide - self.offset).mul_(scale)
        else:
            # in place from here on: what is freed between tensors that stay is lost to the C library's heap
            own = torch.clamp(wide, self.low, self.high, out=None if wide is x else wide)
            own = own.mul_(scale) if self.offset is None else own.sub_(self.offset).mul_(scale)
        return own.round_().to(x.dtype)

    def values(self, x: Tensor) -> Tensor:
        """Every value at its nearest level."""
        levels, step = self.levels(x), self.step(x.dtype)
        # a base of 0 is added too: it turns -0 into the 0 that integers decode to
        if self.offset is None and isinstance(step, float):
            return torch.add(_ZERO, levels, alpha=step, out=levels)  # one pass for both
        return levels.mul_(step).add_(self.base(x.dtype))

    def step(self, dtype: torch.dtype) -> Number:
        """Distance of neighbouring levels."""
        return _narrow(self.size / self.highest, dtype)

    def base(self, dtype: torch.dtype) -> Number:
        """Value of level 0."""
        return 0.0 if self.offset is None else _narrow(self.offset, dtype)


def gradients(gradient: Tensor, x: Tensor, low: Number, high: Number) -> tuple[Tensor, Tensor]:
    """What reaches x, where low < x < high, and what reaches the clips (low, high), the sums of what lies beyond."""
    if isinstance(low, float):
        # a comparison and a where take several times as long on a CPU as these fused passes
        passed = torch.ops.aten.hardtanh_backward(gradient, x, low, high)
        beyond = gradient - passed
        above = torch.ops.aten.threshold_backward(beyond, x, (low + high) / 2).sum()
        return passed, torch.stack((beyond.sum() - above, above))
    below, above = x <= low, x >= high
    sums = [torch.where(beyond, gradient, 0).sum() for beyond in (below, above)]
    return torch.where(below | above, 0, gradient), torch.stack(sums)


def find_grid(x: Tensor, clip: Tensor, bits: int, symmetric: bool, rows: bool, published: bool = False) -> Grid:
    """The grid of a tensor, or of each of its rows, for the clips (low, high).

    `published`: a symmetric range of zeros has no levels (NaN).
    """
    (grid,) = find_grids(x, [clip], [(bits, symmetric, rows, published)])
    return grid


def find_grids(x: Tensor, clips: Sequence[Tensor], rules: Sequence[Rule]) -> list[Grid]:
    """`find_grid` for the clips and rules of several branches, which look for the extremes of the tensor once."""
    if not all(_in_numbers(x, rows) for _, _, rows, _ in rules):
        return [_of_tensors(x, clip, *rule) for clip, rule in zip(clips, rules, strict=True)]
    smallest, largest = torch.aminmax(x)
    ends = smallest.item(), largest.item()
    return [
        _of_numbers(ends, clip.tolist(), bits, symmetric, published)
        for clip, (bits, symmetric, _, published) in zip(clips, rules, strict=True)
    ]


def _in_numbers(x: Tensor, rows: bool) -> bool:
    return x.is_cpu and x.is_floating_point() and not rows and not torch.compiler.is_compiling()


def _highest(bits: int, symmetric: bool) -> int:
    return int(2 ** (bits - 1) - 1 if symmetric else 2**bits - 1)


def _of_numbers(ends: tuple[float, float], clip: list[float], bits: int, symmetric: bool, published: bool) -> Grid:
    (smallest, largest), (low, high), highest = ends, clip, _highest(bits, symmetric)
    inside = low < smallest and largest < high
    # in this order NaN stays NaN, as in tensors
    least, most = (min(max(end, low), high) for end in ends)
    if symmetric:
        size = (max(-least, most) or torch.nan) if published else max(-least, most, _SMALLEST)
        return Grid(low=low, high=high, size=size, offset=None, highest=highest, inside=inside)
    return Grid(low=low, high=high, size=most - least + _EXTENT, offset=least, highest=highest, inside=inside)


def _of_tensors(x: Tensor, clip: Tensor, bits: int, symmetric: bool, rows: bool, published: bool) -> Grid:
    highest, (low, high) = _highest(bits, symmetric), clip.unbind()
    least, most = (end.clamp(low, high) for end in _extremes(at_least_float32(x), rows))
    if symmetric:
        size = torch.maximum(-least, most)
        size = torch.where(size == 0, torch.nan, size) if published else size.clamp(min=_SMALLEST)
        return Grid(low=low, high=high, size=size, offset=None, highest=highest)
    return Grid(low=low, high=high, size=most - least + _EXTENT, offset=least, highest=highest)


def _extremes(x: Tensor, rows: bool) -> tuple[Tensor, Tensor]:
    """Smallest and largest value; a row is the last dimension, and of (B, A, T, D) all of (T, D)."""
    if not rows:
        return x.amin(), x.amax()
    over = (-2, -1) if x.ndim == 4 else (-1,)
    return x.amin(over, keepdim=True), x.amax(over, keepdim=True)


def _narrow(number: Number, dtype: torch.dtype) -> Number:
    if isinstance(number, Tensor):
        return number.to(dtype)
    return number if dtype in _WIDE else torch.tensor(number, dtype=dtype).item()
