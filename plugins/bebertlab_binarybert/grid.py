"""The levels of a tensor in `uniform`: its clips and its range.

On a CPU clips and range are Python numbers: activations are small, so calls of torch cost more than their arithmetic,
and the backward pass can be skipped where nothing was clipped. On a GPU that would synchronize with the device, and
torch.compile would break the graph: there they are tensors. The results are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from attrs import Attribute
from torch import Tensor

from bebertlab.api import LevelGrid, at_least_float32

#: a Python number, or a tensor with one number or one per row; Any, as torch accepts all of them
Number: TypeAlias = Any

#: rules of a quantizer: bits, symmetric, one range per row, as published
Rule: TypeAlias = tuple[int, bool, bool, bool]

_SMALLEST = 1e-12  #: lower bound of a symmetric range
_EXTENT = 1e-8  #: added to an asymmetric range, as in the published code
_WIDE = (torch.float32, torch.float64)
_ZERO = torch.zeros(())


def check_bits(options: Any, attribute: Attribute[int], bits: int) -> None:  # noqa: ANN401 - options with `symmetric`
    """A validator: symmetric levels need at least two bits."""
    if options.symmetric and bits < 2:
        raise ValueError(f"'{attribute.name}' must be at least 2 if levels are symmetric: {bits}")


class Grid(NamedTuple):  # not attrs: torch.compile does not follow a frozen class
    """Levels 0 to highest, or -highest to highest, `size / highest` apart."""

    low: Number  #: values are clipped here
    high: Number  #: and here
    size: Number  #: from level 0 to level `highest`
    offset: Number | None  #: value of level 0; None is exactly 0
    highest: int
    inside: bool = False  #: True: nothing is clipped; False: not known

    def equals(self, other: Grid) -> bool:
        """Whether both grids, computed for the same tensor, give it equal values; False if that is unknown."""
        if not isinstance(self.size, float) or self[2:] != other[2:]:
            return False
        return self.inside or self[:2] == other[:2]

    def levels(self, x: Tensor) -> Tensor:
        """The nearest level of every value, in the dtype of x."""
        wide = at_least_float32(x)
        scale = self.highest / self.size
        if self.inside:
            scaled: Tensor = wide * scale if self.offset is None else (wide - self.offset).mul_(scale)
        else:
            # in place: memory freed between tensors that stay would fragment the heap
            scaled = torch.clamp(wide, self.low, self.high, out=None if wide is x else wide)
            scaled = scaled.mul_(scale) if self.offset is None else scaled.sub_(self.offset).mul_(scale)
        return scaled.round_().to(x.dtype)

    def values(self, x: Tensor) -> Tensor:
        """Every value at its nearest level."""
        levels, step = self.levels(x), self.step(x.dtype)
        # a base of 0 is added too, which turns -0 into the 0 that integers decode to
        if self.offset is None and isinstance(step, float):
            return torch.add(_ZERO, levels, alpha=step, out=levels)  # both in one pass
        return levels.mul_(step).add_(self.base(x.dtype))

    def step(self, dtype: torch.dtype) -> Number:
        """Distance of neighboring levels."""
        return _narrow(self.size / self.highest, dtype)

    def base(self, dtype: torch.dtype) -> Number:
        """Value of level 0."""
        return 0.0 if self.offset is None else _narrow(self.offset, dtype)


def gradients(gradient: Tensor, x: Tensor, low: Number, high: Number) -> tuple[Tensor, Tensor]:
    """The gradient of x, where low < x < high, and that of the clips (low, high), the sums beyond them."""
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

    `published`: a symmetric range of zeros is NaN.
    """
    (grid,) = find_grids(x, [clip], [(bits, symmetric, rows, published)])
    return grid


def find_grids(x: Tensor, clips: Sequence[Tensor], rules: Sequence[Rule]) -> list[Grid]:
    """`find_grid` for the clips and rules of several branches; the extremes of the tensor are computed once."""
    if not all(_uses_numbers(x, rows) for _, _, rows, _ in rules):
        return [_of_tensors(x, clip, *rule) for clip, rule in zip(clips, rules, strict=True)]
    smallest, largest = torch.aminmax(x)
    ends = smallest.item(), largest.item()
    return [
        _of_numbers(ends, clip.tolist(), bits, symmetric, published)
        for clip, (bits, symmetric, _, published) in zip(clips, rules, strict=True)
    ]


def find_level_grid(
    ends: tuple[float, float], clip: list[float], bits: int, symmetric: bool, published: bool
) -> LevelGrid | None:
    """The grid of a tensor of which only the extremes are known; None where it is NaN."""
    grid = _of_numbers(ends, clip, bits, symmetric, published)
    if grid.size != grid.size:
        return None
    clips = {} if grid.inside else {"clip_low": grid.low, "clip_high": grid.high}
    base = 0.0 if grid.offset is None else grid.offset
    factor, step = grid.highest / grid.size, grid.step(torch.float32)
    return LevelGrid(step=step, offset=grid.offset, base=base, factor=factor, **clips)


def _uses_numbers(x: Tensor, rows: bool) -> bool:
    return x.is_cpu and x.is_floating_point() and not rows and not torch.compiler.is_compiling()


def _highest(bits: int, symmetric: bool) -> int:
    return int(2 ** (bits - 1) - 1 if symmetric else 2**bits - 1)


def _of_numbers(ends: tuple[float, float], clip: list[float], bits: int, symmetric: bool, published: bool) -> Grid:
    (smallest, largest), (low, high), highest = ends, clip, _highest(bits, symmetric)
    inside = low < smallest and largest < high
    # in this order of arguments NaN stays NaN, as in tensors
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
    """The smallest and largest value; a row is the last dimension, or (T, D) of (B, A, T, D)."""
    if not rows:
        return x.amin(), x.amax()
    over = (-2, -1) if x.ndim == 4 else (-1,)
    return x.amin(over, keepdim=True), x.amax(over, keepdim=True)


def _narrow(number: Number, dtype: torch.dtype) -> Number:
    if isinstance(number, Tensor):
        return number.to(dtype)
    return number if dtype in _WIDE else torch.tensor(number, dtype=dtype).item()
