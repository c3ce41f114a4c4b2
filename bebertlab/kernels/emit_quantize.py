"""Float32 to evenly spaced levels.

A level is `round((min(max(x + shift, clip_low), clip_high) - base) / divisor * factor)`, at least low and at most high.
Every operation is rounded on its own, and ties go to the even level, as in torch.
"""

from __future__ import annotations

from typing import NamedTuple

from bebertlab.kernels.emit import Emitter, Value
from bebertlab.kernels.emit_rows import floats, for_columns


class LevelRule(NamedTuple):
    """How levels are computed, in float32."""

    clip_low: float
    clip_high: float
    base: float
    divisor: float
    factor: float
    low: float  #: a level, as `high`, of a magnitude of at most `LARGEST_LEVEL`
    high: float


QUANTIZE_PARAMETERS = (
    "source",  # (batch * tokens, heads * size) float32
    "stride",  # bytes from a row of `source` to the next
    "shifts",  # (heads * size,) float32
    "rule",  # `LevelRule`
    "zero",  # is added to levels of bytes
    "out",  # (batch, heads, tokens, size), bytes or float32
    "batch",
    "tokens",
    "heads",
    "size",
)

#: the largest magnitude of a number that is rounded here
LARGEST_LEVEL = 2**22
#: a sum with it is rounded to an integer, ties to even, for magnitudes up to that; 1.5 * 2^23
_ROUNDING = 12_582_912.0
_ROUNDING_BITS = 0x4B400000


def emit_quantize(e: Emitter) -> None:
    """`quantize_bytes` and `quantize_floats`; with `_dividing` for rules whose divisor is not 1."""
    for dividing in (False, True):
        for integers in (False, True):
            _quantize(e, dividing=dividing, integers=integers)


def _quantize(e: Emitter, *, dividing: bool, integers: bool) -> None:
    name = f"quantize_{'bytes' if integers else 'floats'}{'_dividing' if dividing else ''}"
    with e.function(name, *QUANTIZE_PARAMETERS) as parameters:
        p = dict(zip(QUANTIZE_PARAMETERS, parameters, strict=True))
        rule = {field: e.load(e.f32, p["rule"] + 4 * index) for index, field in enumerate(LevelRule._fields)}
        zero = p["zero"].cast("trunc", e.i32)
        inverse = e.number(e.f64, 1.0) / rule["divisor"].cast("fpext", e.f64)
        with e.loop(p["batch"]) as sentence, e.loop(p["tokens"]) as token, e.loop(p["heads"]) as head:
            source = p["source"] + (sentence * p["tokens"] + token) * p["stride"] + head * p["size"] * 4
            shifts = p["shifts"] + head * p["size"] * 4
            row = (sentence * p["heads"] + head) * p["tokens"] + token
            out = p["out"] + row * p["size"] * (1 if integers else 4)

            def store(
                column: Value, width: int, source: Value = source, shifts: Value = shifts, out: Value = out
            ) -> None:
                type_, offset = floats(e, width), column * 4
                x = e.load(type_, source + offset) + e.load(type_, shifts + offset)
                numbers = {field: e.splat(number, width) for field, number in rule.items()}
                rounded = _in_levels(x, numbers, e.splat(inverse, width) if dividing else None) + _ROUNDING
                if integers:
                    word = e.vector(e.i32, width)
                    level = rounded.cast("bitcast", word) - _ROUNDING_BITS + e.splat(zero, width)
                    e.store(level.cast("trunc", e.vector(e.i8, width)), out + column)
                else:
                    e.store(rounded - _ROUNDING, out + offset)

            for_columns(e, p["size"], store)


def _in_levels(x: Value, rule: dict[str, Value], inverse: Value | None) -> Value:
    clipped = x.maximum(rule["clip_low"]).minimum(rule["clip_high"]) - rule["base"]
    scaled = (_quotient(clipped, inverse) if inverse is not None else clipped) * rule["factor"]
    return scaled.maximum(rule["low"]).minimum(rule["high"])


def _quotient(x: Value, inverse: Value) -> Value:
    """A float32 divided by another, rounded, by a product with the inverse in float64, which takes less time.

    A quotient of numbers with 24 bits is at least 2^-49 of itself away from where rounding changes, and the product is
    wrong by at most 2^-52.
    """
    e = x.emitter
    return (x.cast("fpext", inverse.type) * inverse).cast("fptrunc", e.vector(e.f32, x.type.count))
