"""Where scaled sums change their bit: comparisons of integers that decide as float32 arithmetic does, ties too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

#: float32 results of a linear map -> those of an activation function, of the same shape
Activation = Callable[[FloatArray], FloatArray]

_ZERO = np.float32(0)
_NEVER = 1 << 30  #: more than any count
_ROWS_AT_ONCE = 256
#: sums of this magnitude and below are exact in float32; longer ones do not occur
_LARGEST_SUM = 1 << 24


@frozen(eq=False, kw_only=True)
class BitRule:
    """The bit of a float32 number y: whether activation(y) + shift is at least a border, the sum rounded once."""

    activation: Activation | None = None  #: None: y itself
    nondecreasing: bool = True  #: of the activation
    shift: FloatArray | None = None  #: (rows,); None is 0
    border: np.float32 = _ZERO

    def bits(self, values: FloatArray, rows: slice = slice(None)) -> NDArray[np.bool_]:
        """The bits of numbers of some rows, (rows, ...)."""
        if self.activation is not None:
            values = self.activation(values)
        if self.shift is not None:
            values = values + self.shift[rows].reshape(-1, *[1] * (values.ndim - 1))
        bits: NDArray[np.bool_] = values >= self.border
        return bits


SIGN_RULE = BitRule()  #: whether a number is at least 0


def count_thresholds(
    scale: FloatArray,
    bias: FloatArray,
    columns: int,
    rule: BitRule = SIGN_RULE,
    starts: NDArray[np.int64] | None = None,
) -> NDArray[np.int32]:
    """For each row `-low` and `high - low - 1`: its bit is set where `count < low` or `count >= high`.

    A count is the number of columns, 0 to `columns`, in which the bits of input and weight differ, and decides by
    the rule for `(start - 2 count) * scale + bias` in float32, each operation rounded.
    Shape: scale, bias, starts (rows,) -> (rows, 2).

    Args:
        scale: of the sums of each row.
        bias: of each row.
        columns: of the matrix.
        rule: what a result is compared with.
        starts: the sum of each row if no bits differ; None is `columns`, that of signs.

    Raises:
        ValueError: the bits of a row are not those of two thresholds.
    """
    starts = np.full(len(scale), columns) if starts is None else starts
    if rule.nondecreasing and bool((scale >= 0).all()):

        def is_low(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
            return ~rule.bits((starts - 2 * counts).astype(np.float32) * scale + bias)

        low = _first(np.zeros(len(scale), np.int64), np.full(len(scale), columns + 1), is_low)
        return np.stack([-low, _NEVER - low], 1).astype(np.int32)
    result = np.empty((len(scale), 2), np.int32)
    for first in range(0, len(scale), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        sums = (starts[part, None] - 2 * np.arange(columns + 1)).astype(np.float32)
        result[part] = _two_thresholds(rule.bits(sums * scale[part, None] + bias[part, None], part))
    return result


def _two_thresholds(bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Of bits (rows, counts)."""
    size = bits.shape[1]
    low = np.where(bits.all(1), size, bits.argmin(1))
    high = np.where(bits.all(1), size, size - bits[:, ::-1].argmin(1))
    counts = np.arange(size)
    if ((bits != ((counts < low[:, None]) | (counts >= high[:, None]))).any(1)).any():
        raise ValueError("bits change more than twice as counts grow: two thresholds cannot decide them")
    return np.stack([-low, np.where(high >= size, _NEVER, high - 1) - low], 1)


def sum_thresholds(scale: np.float32, rows: int, rule: BitRule) -> NDArray[np.int32]:
    """For each row the smallest sum whose bit is set: that of `sum * scale` in float32, which grows with the sum.

    Shape: -> (rows,); 2^24 + 1 where no sum of at most 2^24 has the bit.

    Raises:
        ValueError: the scale is negative, or the activation of the rule may decrease.
    """
    if not (scale >= 0 and rule.nondecreasing):
        raise ValueError("bits of sums are decided by one threshold only where results grow with the sums")
    low, high = np.full(rows, -_LARGEST_SUM, np.int64), np.full(rows, _LARGEST_SUM + 1)
    return _first(low, high, lambda sums: rule.bits(sums.astype(np.float32) * scale)).astype(np.int32)


def has_two_sides(thresholds: NDArray[np.int32], columns: int) -> bool:
    """Whether the second threshold of some row can be reached.

    >>> ones = np.ones(1, np.float32)
    >>> has_two_sides(count_thresholds(ones, ones, 8), 8), has_two_sides(count_thresholds(-ones, ones, 8), 8)
    (False, True)
    """
    return bool((thresholds[:, 1] - thresholds[:, 0] < columns).any())


def _first(
    low: NDArray[np.int64], high: NDArray[np.int64], reached: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
) -> NDArray[np.int64]:
    """The first integer of each row from low on where a condition holds, which it does from there on; else high."""
    while (low < high).any():
        middle = (low + high) // 2
        holds = reached(middle)
        searching = low < high
        low, high = np.where(searching & ~holds, middle + 1, low), np.where(searching & holds, middle, high)
    return low
