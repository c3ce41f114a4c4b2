"""Between the products of an attention with softmax: scores from sums of levels, and contexts from them.

A sum of products of levels is a float32, which is exact. Every operation is rounded on its own.
"""

from __future__ import annotations

from bebertlab.kernels.emit import Emitter, Value
from bebertlab.kernels.emit_rows import ExtremesTracker, floats, for_columns

SCORES_PARAMETERS = (
    "scores",  # (batch * rows, columns)
    "mask",  # (batch, columns)
    "numbers",  # the scale of sums, and that of scores, float32
    "batch",
    "rows",
    "columns",
)
CONTEXT_PARAMETERS = (
    "source",  # (batch, heads, tokens, size), sums
    "values",  # likewise, the levels that were multiplied
    "numbers",  # the scale of sums, and the factor of sums of the levels of values, float32
    "shifted",  # 1: there is such a factor
    "terms",  # (size,), memory to work in
    "out",  # (batch, tokens, heads * size)
    "batch",
    "tokens",
    "heads",
    "size",
    "shifts",  # (heads * size,)
    "extremes",
)


def emit_heads(e: Emitter) -> None:
    """`scale_scores` and `finish_context`."""
    _scale_scores(e)
    _finish_context(e)


def _scale_scores(e: Emitter) -> None:
    """score = sum * scale * root + mask, in place."""
    with e.function("scale_scores", *SCORES_PARAMETERS) as (scores, mask, numbers, batch, rows, columns):
        scale, root = (e.load(e.f32, numbers + 4 * index) for index in range(2))
        with e.loop(batch) as sentence, e.loop(rows) as row:
            at = scores + (sentence * rows + row) * columns * 4
            added = mask + sentence * columns * 4

            def store(column: Value, width: int, at: Value = at, added: Value = added) -> None:
                type_, offset = floats(e, width), column * 4
                value = e.load(type_, at + offset) * e.splat(scale, width) * e.splat(root, width)
                e.store(value + e.load(type_, added + offset), at + offset)

            for_columns(e, columns, store)


def _finish_context(e: Emitter) -> None:
    """context = sum * scale [+ factor * the sum of the levels of values over tokens], and the extremes plus shifts."""
    with e.function("finish_context", *CONTEXT_PARAMETERS) as parameters:
        p = dict(zip(CONTEXT_PARAMETERS, parameters, strict=True))
        scale, extremes = e.load(e.f32, p["numbers"]), ExtremesTracker(e)
        with e.loop(p["batch"]) as sentence, e.loop(p["heads"]) as head:
            start = (sentence * p["heads"] + head) * p["tokens"] * p["size"] * 4
            _value_terms(e, p, p["values"] + start)
            with e.loop(p["tokens"]) as token:
                source = p["source"] + start + token * p["size"] * 4
                first = head * p["size"]
                out = p["out"] + ((sentence * p["tokens"] + token) * p["heads"] * p["size"] + first) * 4
                shifts = p["shifts"] + first * 4

                def store(
                    column: Value, width: int, source: Value = source, out: Value = out, shifts: Value = shifts
                ) -> None:
                    type_, offset = floats(e, width), column * 4
                    value = e.variable(e.load(type_, source + offset) * e.splat(scale, width))
                    with e.when(p["shifted"].differs_from(0)):
                        value.value = value.value + e.load(type_, p["terms"] + offset)
                    e.store(value.value, out + offset)
                    extremes.add(value.value + e.load(type_, shifts + offset))

                for_columns(e, p["size"], store)
        extremes.store(p["extremes"])


def _value_terms(e: Emitter, p: dict[str, Value], values: Value) -> None:
    """terms = factor * the sum of the levels of a head over its tokens, where there is a factor."""
    factor = e.load(e.f32, p["numbers"] + 4)

    def store(column: Value, width: int) -> None:
        type_, offset = floats(e, width), column * 4
        total = e.variable(e.number(type_, 0.0))
        with e.loop(p["tokens"]) as token:
            total.value = total.value + e.load(type_, values + token * p["size"] * 4 + offset)
        e.store(total.value * e.splat(factor, width), p["terms"] + offset)

    with e.when(p["shifted"].differs_from(0)):
        for_columns(e, p["size"], store)
