"""Rows of float32 as torch has them: helpers for loops over columns, and the smallest and largest number of a matrix.

A row is computed in vectors of `TOKENS` lanes and, where its length is no multiple, in single lanes at its end.
"""

from __future__ import annotations

from collections.abc import Callable

from bebertlab.kernels.emit import TOKENS, Emitter, Raw, Value

#: lanes of the vectors that a row is computed in
WIDTHS = (TOKENS, 1)


def for_columns(e: Emitter, count: Value, body: Callable[[Value, int], None]) -> None:
    """Call `body` with the first column and the lanes of every vector of a row."""
    with e.loop(count >> 4) as index:
        body(index * TOKENS, TOKENS)
    with e.loop(count & (TOKENS - 1)) as index:
        body((count & -TOKENS) + index, 1)


def floats(e: Emitter, width: int) -> Raw:
    """The type of a vector of float32."""
    return e.vector(e.f32, width)


def reduce_lanes(value: Value, combine: Callable[[Value, Value], Value]) -> Value:
    """All lanes of a vector combined, in a vector of a single lane."""
    width = value.type.count
    while width > 1:
        width //= 2
        value = combine(value.lanes(*range(width)), value.lanes(*range(width, 2 * width)))
    return value


class ExtremesTracker:
    """The smallest and the largest of the numbers that are added, and a sum that is NaN where one is not finite."""

    def __init__(self, e: Emitter) -> None:
        self._e = e
        starts = {"low": float("inf"), "high": float("-inf"), "check": 0.0}
        self._variables = {
            width: {name: e.variable(e.number(floats(e, width), start)) for name, start in starts.items()}
            for width in WIDTHS
        }

    def add(self, value: Value) -> None:
        """A vector of numbers."""
        v = self._variables[value.type.count]
        v["low"].value = value.minimum(v["low"].value)
        v["high"].value = value.maximum(v["high"].value)
        v["check"].value = v["check"].value + value * 0.0

    def store(self, address: Value) -> None:
        """Store the three as float32."""
        combine: dict[str, Callable[[Value, Value], Value]] = {
            "low": Value.minimum,
            "high": Value.maximum,
            "check": Value.__add__,
        }
        for index, (name, combined) in enumerate(combine.items()):
            whole, single = (reduce_lanes(self._variables[width][name].value, combined) for width in WIDTHS)
            self._e.store(combined(whole, single), address + 4 * index)


def emit_extremes(e: Emitter) -> None:
    """`find_extremes` of a matrix plus a shift of each column."""
    with e.function("find_extremes", "source", "rows", "columns", "shifts", "out") as parameters:
        source, rows, columns, shifts, out = parameters
        extremes = ExtremesTracker(e)
        with e.loop(rows) as row:
            at = source + row * columns * 4

            def add(column: Value, width: int, at: Value = at) -> None:
                type_, offset = floats(e, width), column * 4
                extremes.add(e.load(type_, at + offset) + e.load(type_, shifts + offset))

            for_columns(e, columns, add)
        extremes.store(out)
