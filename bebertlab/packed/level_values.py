"""Values between the products of a model of levels: their extremes, and their levels for all products that read them.

Of a quantizer that declares a grid (`SupportsGrid`) generated code computes the levels; others encode as always.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from attrs import frozen
from torch import Tensor

from bebertlab.inference.integers import ZERO_OF_INT8, IntegerInput, IntegerWeight
from bebertlab.interfaces.capabilities import LevelGrid, SupportsGrid
from bebertlab.interfaces.quantizer import Codes, Quantizer
from bebertlab.kernels.emit_quantize import LevelRule
from bebertlab.kernels.rows import Extremes, Layout, RowKernels
from bebertlab.model.primitives import integer_dtype

FLOAT_BYTES = 4
_Scales = ctypes.c_float * 2


@frozen(eq=False)
class InputQuantizer:
    """A quantizer, and what generated code reads of it."""

    quantizer: Quantizer
    shift: Tensor | None  #: (I,), contiguous float32
    find_grid: Callable[[float, float], LevelGrid | None] | None  #: `level_grid`
    dtype: torch.dtype  #: of its levels

    @classmethod
    def of(cls, quantizer: Quantizer) -> Self:
        """Of a prepared model, whose parameters do not change."""
        dtype = integer_dtype(quantizer.alphabet.low, quantizer.alphabet.high)
        if not isinstance(quantizer, SupportsGrid):  # slow, therefore only here
            return cls(quantizer, None, None, dtype)
        shift = quantizer.grid_shift
        return cls(
            quantizer, None if shift is None else shift.detach().float().contiguous(), quantizer.level_grid, dtype
        )

    def grid(self, extremes: Extremes | None) -> LevelGrid | None:
        """The grid of values with these extremes, after the shift; None where there is none."""
        return None if extremes is None or self.find_grid is None else self.find_grid(*extremes)

    def gives_same(self, other: InputQuantizer, grid: LevelGrid, other_grid: LevelGrid) -> bool:
        """Whether the levels of both are equal for a tensor for which they have these grids."""
        same = grid == other_grid and self.quantizer.alphabet == other.quantizer.alphabet
        return same and (self.shift is other.shift or _same_shift(self.shift, other.shift))

    def rule(self, grid: LevelGrid) -> LevelRule:
        """A grid as generated code reads it."""
        limits, alphabet = (grid.clip_low, grid.clip_high), self.quantizer.alphabet
        return LevelRule(*limits, grid.base, grid.divisor, grid.factor, alphabet.low, alphabet.high)


class LevelRows(NamedTuple):
    """Rows (N, I) of levels in the form that a weight multiplies."""

    levels: Tensor
    zero: int
    scales: tuple[int, int, int, int]  #: address of the step and bytes from a row to the next, and those of the offset
    kept: object  #: what the addresses point to

    @classmethod
    def of_grid(cls, levels: Tensor, zero: int, grid: LevelGrid) -> Self:
        """Levels of a grid."""
        scales = _Scales(grid.step, grid.offset or 0.0)
        start = ctypes.addressof(scales)
        return cls(levels, zero, (start, 0, 0 if grid.offset is None else start + FLOAT_BYTES, 0), scales)

    @classmethod
    def of_input(cls, inputs: IntegerInput) -> Self:
        """Levels with scales of torch, () or (N, 1)."""
        step, offset = inputs.step.contiguous(), None if inputs.offset is None else inputs.offset.contiguous()
        strides = [FLOAT_BYTES if scale is not None and scale.ndim else 0 for scale in (step, offset)]
        addresses = step.data_ptr(), 0 if offset is None else offset.data_ptr()
        return cls(inputs.levels, inputs.zero, (addresses[0], strides[0], addresses[1], strides[1]), (step, offset))


class Values:
    """A float32 tensor (B, T, I) whose rows lie one after the other."""

    def __init__(
        self,
        kernels: RowKernels,
        tensor: Tensor,
        shift: Tensor | None = None,
        extremes: Extremes | None = None,
    ) -> None:
        """With the extremes after a shift, where they are known; None: not known, or not finite."""
        self.kernels, self.tensor = kernels, tensor
        self._extremes: dict[int | None, Extremes | None] = {}
        if extremes is not None:
            self._extremes[_key(shift)] = extremes
        self._rows: list[tuple[InputQuantizer, LevelGrid, bool, bool, LevelRows]] = []
        self._codes: list[tuple[InputQuantizer, LevelGrid, Codes]] = []

    def extremes(self, shift: Tensor | None) -> Extremes | None:
        """The smallest and the largest number after a shift; None where a number is not finite."""
        key = _key(shift)
        if key not in self._extremes:
            rows, columns = self.tensor.shape[:-1].numel(), self.tensor.shape[-1]
            shifts = shift_address(self.kernels, shift)
            self._extremes[key] = self.kernels.find_extremes(self.tensor.data_ptr(), rows, columns, shifts)
        return self._extremes[key]

    def rows(self, quantizer: InputQuantizer, weight: IntegerWeight, first_token: bool) -> LevelRows:
        """The levels that a weight multiplies; `first_token`: those of the first token of each sentence."""
        grid, of_bytes = quantizer.grid(self.extremes(quantizer.shift)), weight.takes_bytes
        if grid is None or (of_bytes and quantizer.dtype.itemsize > 1):
            return LevelRows.of_input(weight.input_of(quantizer.quantizer.encode(self.tensor), first_token))
        zero = ZERO_OF_INT8 if of_bytes and quantizer.dtype is torch.int8 else 0
        if (rows := self._last_rows(quantizer, grid, of_bytes, first_token)) is None:
            levels = self._quantize(quantizer, grid, zero if of_bytes else None, first_token)
            rows = LevelRows.of_grid(levels, zero, grid)
            self._rows.append((quantizer, grid, of_bytes, first_token, rows))
        return rows if of_bytes else rows._replace(levels=weight.convert(rows.levels)[0])

    def _last_rows(
        self, quantizer: InputQuantizer, grid: LevelGrid, of_bytes: bool, first_token: bool
    ) -> LevelRows | None:
        for other, other_grid, *form, rows in self._rows:
            if form == [of_bytes, first_token] and other.gives_same(quantizer, other_grid, grid):
                return rows
        return None

    def codes(self, quantizer: InputQuantizer) -> Codes:
        """The codes; equal ones are one object."""
        grid, alphabet = quantizer.grid(self.extremes(quantizer.shift)), quantizer.quantizer.alphabet
        if grid is None or quantizer.dtype.itemsize > 1:
            return quantizer.quantizer.encode(self.tensor)
        for other, other_grid, codes in self._codes:
            if other.gives_same(quantizer, other_grid, grid):
                return codes
        levels = self._quantize(quantizer, grid, 0, first_token=False).view(quantizer.dtype)
        step, offset = torch.tensor(grid.step), None if grid.offset is None else torch.tensor(grid.offset)
        codes = Codes(levels=levels.view(self.tensor.shape), step=step, offset=offset, alphabet=alphabet)
        self._codes.append((quantizer, grid, codes))
        return codes

    def _quantize(self, quantizer: InputQuantizer, grid: LevelGrid, zero: int | None, first_token: bool) -> Tensor:
        sentences, tokens, columns = self.tensor.shape
        rows = sentences if first_token else sentences * tokens
        levels = torch.empty((rows, columns), dtype=torch.float32 if zero is None else torch.uint8)
        self.kernels.quantize(
            self.tensor.data_ptr(),
            columns * FLOAT_BYTES * (tokens if first_token else 1),
            shift_address(self.kernels, quantizer.shift),
            quantizer.rule(grid),
            levels.data_ptr(),
            Layout.of_rows(rows, columns),
            zero,
        )
        return levels


def shift_address(kernels: RowKernels, shift: Tensor | None) -> int:
    """Where a shift is, or zeros."""
    return kernels.no_shifts if shift is None else shift.data_ptr()


def _key(shift: Tensor | None) -> int | None:
    return None if shift is None else shift.data_ptr()


def _same_shift(first: Tensor | None, second: Tensor | None) -> bool:
    return first is not None and second is not None and torch.equal(first, second)
