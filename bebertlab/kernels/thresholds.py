"""Where scaled counts change their sign: comparisons of integers that decide as float32 arithmetic does, ties too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

#: float32 results of a linear map -> the bit of each; None stands for x >= 0, the sign
BitRule = Callable[[NDArray[np.float32]], NDArray[np.bool_]]

_NEVER = 1 << 30  #: more than any count
_ROWS_AT_ONCE = 256


def count_thresholds(
    scale: NDArray[np.float32], bias: NDArray[np.float32], columns: int, rule: BitRule | None = None
) -> NDArray[np.int32]:
    """For each row `-low` and `high - low - 1`: its bit is set where `count < low` or `count >= high`.

    A count is the number of columns, 0 to `columns`, in which the signs of input and weight differ, and decides by
    `rule((columns - 2 count) * scale + bias)` in float32, each operation rounded.
    Shape: scale, bias (rows,) -> (rows, 2).

    Raises:
        ValueError: the bits of a row are not those of two thresholds.
    """
    if rule is None and bool((scale >= 0).all()):
        low = _first_negative(scale, bias, columns)
        return np.stack([-low, _NEVER - low], 1).astype(np.int32)
    counts = np.arange(columns + 1)
    sums = (columns - 2 * counts).astype(np.float32)
    result = np.empty((len(scale), 2), np.int32)
    for first in range(0, len(scale), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        values = sums * scale[part, None] + bias[part, None]
        bits = values >= 0 if rule is None else rule(values)
        low = np.where(bits.all(1), columns + 1, bits.argmin(1))
        high = np.where(bits.all(1), columns + 1, columns + 1 - bits[:, ::-1].argmin(1))
        if ((bits != ((counts < low[:, None]) | (counts >= high[:, None]))).any(1)).any():
            raise ValueError("bits change more than twice as counts grow: two thresholds cannot decide them")
        result[part, 0] = -low
        result[part, 1] = np.where(high > columns, _NEVER, high - 1) - low
    return result


def has_two_sides(thresholds: NDArray[np.int32], columns: int) -> bool:
    """Whether the second threshold of some row can be reached.

    >>> ones = np.ones(1, np.float32)
    >>> has_two_sides(count_thresholds(ones, ones, 8), 8), has_two_sides(count_thresholds(-ones, ones, 8), 8)
    (False, True)
    """
    return bool((thresholds[:, 1] - thresholds[:, 0] < columns).any())


def _first_negative(scale: NDArray[np.float32], bias: NDArray[np.float32], columns: int) -> NDArray[np.int64]:
    """By bisection: values do not grow with the count."""
    low, high = np.zeros(len(scale), np.int64), np.full(len(scale), columns + 1)
    while (low < high).any():
        middle = (low + high) // 2
        negative = (columns - 2 * middle).astype(np.float32) * scale + bias < 0
        searching = low < high
        low, high = np.where(searching & ~negative, middle + 1, low), np.where(searching & negative, middle, high)
    return low
