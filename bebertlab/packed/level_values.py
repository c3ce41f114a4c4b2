"""Values between the products of a model of levels, with their extremes, quantized once for all products that read them.

Of a quantizer that declares a grid (`SupportsGrid`) generated code computes the levels; others encode as always.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

from bebertlab.inference.integers import Int8Weight, IntegerWeight
from bebertlab.interfaces.capabilities import LevelGrid, SupportsGrid
from bebertlab.interfaces.quantizer import Alphabet, Codes, Quantizer
from bebertlab.kernels.rows import Extremes, Layout, LevelRule, RowKernels
from bebertlab.model.primitives import integer_dtype

FLOAT_BYTES = 4
_BYTE = 128  #: the offset from int8 to uint8


class InputQuantizer(NamedTuple):
    """A quantizer, and what generated code reads of it."""

    quantizer: Quantizer
    shift: Tensor | None  #: (I,), contiguous float32

    @classmethod
    def of(cls, quantizer: Quantizer) -> Self:
        """Of a prepared model, whose parameters do not change."""
        shift = quantizer.grid_shift if isinstance(quantizer, SupportsGrid) else None
        return cls(quantizer, None if shift is None else shift.detach().float().contiguous())

    def grid(self, extremes: Extremes | None) -> LevelGrid | None:
        """The grid of finite values with these extremes; None where there is none."""
        if extremes is None or not isinstance(self.quantizer, SupportsGrid):
            return None
        return self.quantizer.level_grid(*extremes)


class LevelRows(NamedTuple):
    """Rows (N, I) of levels in the form that a weight multiplies; their step and offset are () or (N, 1)."""

    levels: Tensor
    zero: int
    step: Tensor
    offset: Tensor | None


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
        self._rows: dict[object, LevelRows] = {}
        self._codes: dict[object, Codes] = {}

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
        grid = quantizer.grid(self.extremes(quantizer.shift))
        alphabet, of_bytes = quantizer.quantizer.alphabet, isinstance(weight, Int8Weight)
        dtype = integer_dtype(alphabet.low, alphabet.high)
        if grid is None or (of_bytes and dtype.itemsize > 1):
            inputs = weight.input_of(quantizer.quantizer.encode(self.tensor), first_token)
            return LevelRows(inputs.levels, inputs.zero, inputs.step.contiguous(), _contiguous(inputs.offset))
        zero = _BYTE if of_bytes and dtype is torch.int8 else 0
        key = grid, alphabet, _key(quantizer.shift), of_bytes, first_token
        if key not in self._rows:
            levels = self._quantize(quantizer, grid, zero if of_bytes else None, first_token)
            self._rows[key] = LevelRows(levels, zero, *_scales(grid))
        rows = self._rows[key]
        return rows if of_bytes else rows._replace(levels=weight.convert(rows.levels)[0])

    def codes(self, quantizer: InputQuantizer) -> Codes:
        """The codes; equal ones are one object."""
        grid, alphabet = quantizer.grid(self.extremes(quantizer.shift)), quantizer.quantizer.alphabet
        dtype = integer_dtype(alphabet.low, alphabet.high)
        if grid is None or dtype.itemsize > 1:
            return quantizer.quantizer.encode(self.tensor)
        key = grid, alphabet, _key(quantizer.shift)
        if key not in self._codes:
            levels = self._quantize(quantizer, grid, 0, first_token=False).view(dtype)
            step, offset = _scales(grid)
            self._codes[key] = Codes(levels=levels.view(self.tensor.shape), step=step, offset=offset, alphabet=alphabet)
        return self._codes[key]

    def _quantize(self, quantizer: InputQuantizer, grid: LevelGrid, zero: int | None, first_token: bool) -> Tensor:
        sentences, tokens, columns = self.tensor.shape
        rows = sentences if first_token else sentences * tokens
        levels = torch.empty((rows, columns), dtype=torch.float32 if zero is None else torch.uint8)
        self.kernels.quantize(
            self.tensor.data_ptr(),
            columns * FLOAT_BYTES * (tokens if first_token else 1),
            shift_address(self.kernels, quantizer.shift),
            level_rule(grid, quantizer.quantizer.alphabet),
            levels.data_ptr(),
            Layout.of_rows(rows, columns),
            zero,
        )
        return levels


def level_rule(grid: LevelGrid, alphabet: Alphabet) -> LevelRule:
    """A grid as generated code reads it."""
    return LevelRule(
        grid.clip_low, grid.clip_high, grid.base, grid.divisor, grid.factor, float(alphabet.low), float(alphabet.high)
    )


def shift_address(kernels: RowKernels, shift: Tensor | None) -> int:
    """Where a shift is, or zeros."""
    return kernels.no_shifts if shift is None else shift.data_ptr()


def _key(shift: Tensor | None) -> int | None:
    return None if shift is None else shift.data_ptr()


def _contiguous(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.contiguous()


def _scales(grid: LevelGrid) -> tuple[Tensor, Tensor | None]:
    return torch.tensor(grid.step), None if grid.offset is None else torch.tensor(grid.offset)
