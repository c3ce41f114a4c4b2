"""Rows of float32 between the products of a model of levels: quantizing, scaling, LayerNorm and attention.

Matrices are given by their addresses and lie row after row, so that a call costs little next to its work; the caller
keeps them alive, of the sizes that it states. Functions may run in several threads at once and release the GIL.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bebertlab.kernels.compiler import Kernels, load_kernels
from bebertlab.kernels.emit_finish import Branch
from bebertlab.kernels.emit_quantize import LevelRule
from bebertlab.kernels.layout import aligned_zeros

# arrays of ctypes are made several times as fast as those of numpy
_TwoFloats, _ThreeFloats = ctypes.c_float * 2, ctypes.c_float * 3
_Rule = ctypes.c_float * len(LevelRule._fields)
_NO_FLOOR = int(np.float32(-np.inf).view(np.int32))


class Extremes(NamedTuple):
    """The smallest and the largest number of a matrix."""

    smallest: float
    largest: float


class Layout(NamedTuple):
    """A matrix (batch * tokens, heads * size), which is quantized to (batch, heads, tokens, size)."""

    batch: int
    tokens: int
    heads: int
    size: int

    @classmethod
    def of_rows(cls, rows: int, columns: int) -> Layout:
        """A matrix that stays as it is."""
        return cls(1, rows, 1, columns)


class NormAddresses(NamedTuple):
    """gamma and beta of a LayerNorm, and its epsilon."""

    parameters: int  #: address of gamma, then beta, (columns,) float64
    epsilon_bits: int  #: of epsilon as float64, see `bits_of`


class RowKernels:
    """Calls generated code; numbers that are not finite are found, so that the caller can do without it."""

    def __init__(self, columns: int, kernels: Kernels | None = None) -> None:
        """For matrices of at most so many columns; by default with the code of this machine."""
        self._kernels = load_kernels("rows") if kernels is None else kernels
        self._zeros = aligned_zeros((columns,), np.float32)
        self.no_shifts = int(self._zeros.ctypes.data)  #: for matrices to which nothing is added

    def __deepcopy__(self, memo: dict[int, object]) -> RowKernels:
        """The object itself: it does not change."""
        return self

    def find_extremes(self, source: int, rows: int, columns: int, shifts: int) -> Extremes | None:
        """The extremes of a matrix plus shifts (columns,); None where a number is not finite."""
        extremes = _ThreeFloats()
        self._kernels.call("find_extremes", source, rows, columns, shifts, ctypes.addressof(extremes))
        return _finite(extremes)

    def quantize(
        self, source: int, stride: int, shifts: int, rule: LevelRule, out: int, layout: Layout, zero: int | None = None
    ) -> None:
        """Levels of finite numbers, float32, or bytes to which `zero` is added, modulo 256.

        Args:
            source: the matrix.
            stride: bytes from a row to the next.
            shifts: (columns,), are added first.
            rule: limits and scales of levels.
            out: takes the levels.
            layout: of both.
            zero: None for float32.
        """
        numbers = _Rule(*rule)
        name = f"quantize_{'floats' if zero is None else 'bytes'}{'' if rule.divisor == 1 else '_dividing'}"
        self._kernels.call(name, source, stride, shifts, ctypes.addressof(numbers), zero or 0, out, *layout)

    def finish_products(
        self, branches: Sequence[Branch], out: int, rows: int, columns: int, shifts: int, *, relu: bool = False
    ) -> Extremes | None:
        """out = relu of the sum over branches, or of what is there without any; returns the extremes plus shifts."""
        extremes, records = _ThreeFloats(), _records(branches)
        floor = 0 if relu else _NO_FLOOR
        self._kernels.call(
            "finish_products",
            ctypes.addressof(records),
            len(branches),
            out,
            rows,
            columns,
            floor,
            shifts,
            ctypes.addressof(extremes),
        )
        return _finite(extremes)

    def finish_norm(
        self,
        branches: Sequence[Branch],
        residual: int,
        stride: int,
        norm: NormAddresses,
        out: int,
        rows: int,
        columns: int,
        shifts: int,
    ) -> Extremes | None:
        """out = LayerNorm(residual + the sum over branches, or what is there); returns the extremes plus shifts."""
        extremes, records = _ThreeFloats(), _records(branches)
        self._kernels.call(
            "finish_norm",
            ctypes.addressof(records),
            len(branches),
            residual,
            stride,
            norm.parameters,
            norm.epsilon_bits,
            out,
            rows,
            columns,
            shifts,
            ctypes.addressof(extremes),
        )
        return _finite(extremes)

    def scale_scores(
        self, scores: int, mask: int, scale: float, root: float, batch: int, rows: int, columns: int
    ) -> None:
        """score = sum * scale * root + mask, in place, of (batch * rows, columns); the mask is (batch, columns)."""
        numbers = _TwoFloats(scale, root)
        self._kernels.call("scale_scores", scores, mask, ctypes.addressof(numbers), batch, rows, columns)

    def finish_context(
        self, source: int, values: int, scale: float, factor: float | None, out: int, layout: Layout, shifts: int
    ) -> Extremes | None:
        """Contexts (batch * tokens, heads * size) of sums (batch, heads, tokens, size); returns extremes plus shifts.

        With a factor, that times the sum of the levels of values over the tokens is added.
        """
        extremes, terms = _ThreeFloats(), (ctypes.c_float * layout.size)()
        numbers = _TwoFloats(scale, factor or 0.0)
        self._kernels.call(
            "finish_context",
            source,
            values,
            ctypes.addressof(numbers),
            int(factor is not None),
            ctypes.addressof(terms),
            out,
            *layout,
            shifts,
            ctypes.addressof(extremes),
        )
        return _finite(extremes)


def bits_of(number: float) -> int:
    """The bits of a float64 as an integer."""
    (bits,) = struct.unpack("=q", struct.pack("=d", number))
    return int(bits)


def _records(branches: Sequence[Branch]) -> ctypes.Array[ctypes.c_int64]:
    numbers = [number for branch in branches for number in branch]
    return (ctypes.c_int64 * len(numbers))(*numbers)


def _finite(extremes: ctypes.Array[ctypes.c_float]) -> Extremes | None:
    smallest, largest, check = extremes
    return Extremes(smallest, largest) if check == 0 else None
