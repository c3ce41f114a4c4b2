"""What follows a product of levels: scales and biases, the sum over branches, a residual with LayerNorm, and extremes.

A branch adds `count * (scale * step) + (bias [+ offset * sum])` in float32, every operation rounded, in the order of
the branches: scale, bias and sum are of an output, step and offset of a row. LayerNorm is computed in float64 and
rounded once.
"""

from __future__ import annotations

from typing import NamedTuple

from bebertlab.kernels.emit import Emitter, Value
from bebertlab.kernels.emit_residual import statistics
from bebertlab.kernels.emit_rows import WIDTHS, ExtremesTracker, floats, for_columns, reduce_lanes


class Branch(NamedTuple):
    """Sums of products of levels, and how they are scaled: addresses, and bytes from a row to the next."""

    counts: int  #: (rows, columns) float32
    stride: int
    scales: int  #: (columns,)
    biases: int  #: (columns,)
    sums: int  #: (columns,), of the levels of weights times their scale
    steps: int  #: of inputs, (rows,), or a single one where the stride is 0
    step_stride: int = 0
    offsets: int = 0  #: likewise; 0: there are none
    offset_stride: int = 0


_BRANCH_BYTES = 8 * len(Branch._fields)

FINISH_PARAMETERS = ("branches", "branch_count", "out", "rows", "columns", "floor", "shifts", "extremes")
NORM_PARAMETERS = (
    "branches",
    "branch_count",
    "residual",
    "stride",  # bytes from a row of `residual` to the next
    "norm",  # gamma, then beta, (columns,) float64
    "epsilon",  # bits of a float64
    "out",  # not the memory of `residual`
    "rows",
    "columns",
    "shifts",
    "extremes",
)


def emit_finish(e: Emitter) -> None:
    """`finish_products` and `finish_norm`; without branches `out` has the values already."""
    _add_branches(e)
    _finish_products(e)
    _finish_norm(e)


def _add_branches(e: Emitter) -> None:
    """out = the sum over the branches of a row."""
    with e.function("add_branches", "branches", "count", "row", "out", "columns") as parameters:
        branches, count, row, out, columns = parameters
        with e.loop(count) as branch:
            b = e.record(branches + branch * _BRANCH_BYTES, Branch._fields)
            for first in (True, False):
                for shifted in (True, False):
                    is_first, is_shifted = branch.equals(0), b["offsets"].differs_from(0)
                    with (
                        e.when(is_first if first else is_first ^ 1),
                        e.when(is_shifted if shifted else is_shifted ^ 1),
                    ):
                        _add_branch(e, b, row, out, columns, first=first, shifted=shifted)


def _add_branch(
    e: Emitter, b: dict[str, Value], row: Value, out: Value, columns: Value, *, first: bool, shifted: bool
) -> None:
    counts = b["counts"] + row * b["stride"]
    step = e.load(e.f32, b["steps"] + row * b["step_stride"])
    offset = e.load(e.f32, b["offsets"] + row * b["offset_stride"]) if shifted else None

    def add(column: Value, width: int) -> None:
        type_, at = floats(e, width), column * 4
        bias = e.load(type_, b["biases"] + at)
        if offset is not None:
            bias = bias + e.splat(offset, width) * e.load(type_, b["sums"] + at)
        scale = e.load(type_, b["scales"] + at) * e.splat(step, width)
        value = e.load(type_, counts + at) * scale + bias
        e.store(value if first else e.load(type_, out + at) + value, out + at)

    for_columns(e, columns, add)


def _finish_products(e: Emitter) -> None:
    """out = the sum over branches, at least `floor` (bits of a float32), and the extremes of it plus shifts."""
    with e.function("finish_products", *FINISH_PARAMETERS) as parameters:
        p = dict(zip(FINISH_PARAMETERS, parameters, strict=True))
        extremes, floor = ExtremesTracker(e), p["floor"].cast("trunc", e.i32).cast("bitcast", e.f32)
        with e.loop(p["rows"]) as row:
            out = p["out"] + row * p["columns"] * 4
            e.call("add_branches", p["branches"], p["branch_count"], row, out, p["columns"])

            def finish(column: Value, width: int, out: Value = out) -> None:
                type_, at = floats(e, width), column * 4
                value, lowest = e.load(type_, out + at), e.splat(floor, width)
                value = (value < lowest).select(lowest, value)  # NaN stays
                e.store(value, out + at)
                extremes.add(value + e.load(type_, p["shifts"] + at))

            for_columns(e, p["columns"], finish)
        extremes.store(p["extremes"])


def _finish_norm(e: Emitter) -> None:
    """out = LayerNorm(residual + the sum over branches), and the extremes of it plus shifts."""
    with e.function("finish_norm", *NORM_PARAMETERS) as parameters:
        p = dict(zip(NORM_PARAMETERS, parameters, strict=True))
        extremes = ExtremesTracker(e)
        with e.loop(p["rows"]) as row:
            out, residual = p["out"] + row * p["columns"] * 4, p["residual"] + row * p["stride"]
            e.call("add_branches", p["branches"], p["branch_count"], row, out, p["columns"])
            mean, inverse = _add_residual(e, p, residual, out)
            _normalize(e, p, out, mean, inverse, extremes)
        extremes.store(p["extremes"])


def _add_residual(e: Emitter, p: dict[str, Value], residual: Value, out: Value) -> tuple[Value, Value]:
    """The mean and the inverse standard deviation of a row, to which the residual is added."""
    sums = {
        width: [e.variable(e.number(e.vector(e.f64, width), 0.0)) for _ in ("values", "squares")] for width in WIDTHS
    }

    def add(column: Value, width: int) -> None:
        at = column * 4
        value = e.load(floats(e, width), residual + at) + e.load(floats(e, width), out + at)
        e.store(value, out + at)
        double = value.cast("fpext", e.vector(e.f64, width))
        total, squares = sums[width]
        total.value, squares.value = total.value + double, squares.value.plus_square_of(double)

    for_columns(e, p["columns"], add)
    whole, single = ([reduce_lanes(variable.value, Value.__add__) for variable in sums[width]] for width in WIDTHS)
    total, squares = (first + second for first, second in zip(whole, single, strict=True))
    return statistics(e, total, squares, p["columns"], p["epsilon"])


def _normalize(
    e: Emitter, p: dict[str, Value], out: Value, mean: Value, inverse: Value, extremes: ExtremesTracker
) -> None:
    def normalize(column: Value, width: int) -> None:
        at, doubles = column * 4, e.vector(e.f64, width)
        gamma = e.load(doubles, p["norm"] + column * 8)
        beta = e.load(doubles, p["norm"] + (p["columns"] + column) * 8)
        centered = e.load(floats(e, width), out + at).cast("fpext", doubles) - mean.lanes(*[0] * width)
        value = (centered * inverse.lanes(*[0] * width) * gamma + beta).cast("fptrunc", floats(e, width))
        e.store(value, out + at)
        extremes.add(value + e.load(floats(e, width), p["shifts"] + at))

    for_columns(e, p["columns"], normalize)
