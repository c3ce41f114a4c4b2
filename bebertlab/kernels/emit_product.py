"""Products of levels of any alphabets, and the packing of their inputs.

A level is `low + spacing * index`, and bit b of an index is in plane b. The sum over the columns of the products of an
input's levels, of index i, and a row of weights' levels w is

    low * sum(w) + weight_low * spacing * sum(i)
        + spacing * weight_spacing * (sum over planes a, b of 2^(a+b) popcount(i_a and w_b)),

which is `low * sums[row] + terms[token] + factor * count` here. Of signs it is `columns - 2 popcount(i xor w)`.
"""

from __future__ import annotations

from collections.abc import Sequence

from bebertlab.kernels.emit import ROWS, TOKENS, WORD, Emitter, Value
from bebertlab.kernels.emit_tile import (
    INPUT_WORD_BYTES,
    WEIGHT_WORD_BYTES,
    Combination,
    add_counts,
    add_plane_counts,
    grouped_blocks,
    row_groups,
)

#: bytes of a row's constants: step, bias and scaled sum of its levels as float32, sum of its levels as int32
ROW_BYTES = 16
_GROUP = 8  #: tiles whose weights are read together

PRODUCT_PARAMETERS = (
    "inputs",
    "terms",  # (blocks, TOKENS) int32
    "weights",
    "rows",
    "steps",  # (blocks, TOKENS) float32
    "offsets",  # likewise, or 0
    "out",
    "stride",  # bytes of a row of `out`
    "blocks",
    "tiles",
    "words",
    "input_planes",
    "weight_planes",
    "low",
    "factor",
    "accumulate",  # 1: add to `out`
)


def emit_products(e: Emitter) -> None:
    """`pack_levels`, and `product_xor`, `product_and` with the result as int32 (`_integers`) or float32 (`_floats`)."""
    _pack_levels(e)
    combinations: tuple[Combination, ...] = ("xor", "and")
    for combination in combinations:
        _product(e, combination, integers=True)
        _product(e, combination, integers=False)


def _product(e: Emitter, combination: Combination, *, integers: bool) -> None:
    name = f"product_{combination}_{'integers' if integers else 'floats'}"
    with e.function(name, *PRODUCT_PARAMETERS) as parameters:
        p = dict(zip(PRODUCT_PARAMETERS, parameters, strict=True))
        input_bytes, tile_bytes = p["words"] * INPUT_WORD_BYTES, p["words"] * WEIGHT_WORD_BYTES
        if combination == "and":
            input_bytes, tile_bytes = input_bytes * p["input_planes"], tile_bytes * p["weight_planes"]
        with grouped_blocks(e, p["blocks"], p["tiles"], _GROUP) as (block, tile):
            row_constants = p["rows"] + tile * (ROWS * ROW_BYTES)
            inputs, weights = p["inputs"] + block * input_bytes, p["weights"] + tile * tile_bytes
            products = []
            for rows in row_groups(e):
                counts = e.variables(e.number(e.words, 0), len(rows))
                if combination == "xor":
                    add_counts(e, combination, inputs, weights, p["words"], counts, rows)
                else:
                    planes = p["input_planes"], p["weight_planes"]
                    add_plane_counts(e, inputs, weights, p["words"], planes, counts, rows)
                products += [count.value for count in counts]
            term = e.load(e.words, p["terms"] + block * (4 * TOKENS))
            low, factor = p["low"].cast("trunc", e.i32), e.splat(p["factor"].cast("trunc", e.i32))
            values = [
                e.splat(e.load(e.i32, row_constants + (row * ROW_BYTES + 12)) * low) + term + product * factor
                for row, product in enumerate(products)
            ]
            if not integers:
                values = _scaled(e, p, block, row_constants, values)
            _store_rows(
                e, values, p["out"] + block * TOKENS * p["stride"] + tile * (4 * ROWS), p["stride"], p["accumulate"]
            )


def _scaled(e: Emitter, p: dict[str, Value], block: Value, row_constants: Value, counts: list[Value]) -> list[Value]:
    """count * (weight step * input step) + (bias [+ input offset * sum of the weights]), every operation rounded."""
    step = e.load(e.floats, p["steps"] + block * (4 * TOKENS))
    shifted = p["offsets"].differs_from(0)
    results = []
    for row, count in enumerate(counts):
        constants = row_constants + row * ROW_BYTES
        scale = e.load_splat(e.f32, constants) * step
        bias = e.variable(e.load_splat(e.f32, constants + 4))
        with e.when(shifted):
            offset = e.load(e.floats, p["offsets"] + block * (4 * TOKENS))
            bias.value = bias.value + offset * e.load_splat(e.f32, constants + 8)
        results.append(count.cast("sitofp", e.floats) * scale + bias.value)
    return results


def _store_rows(e: Emitter, values: Sequence[Value], address: Value, stride: Value, accumulate: Value) -> None:
    """Store values, a vector for each of `ROWS` rows, as `TOKENS` rows of `ROWS` columns."""
    columns: list[Value] = []
    for first in range(0, TOKENS, ROWS):
        columns += e.transpose([value.lanes(*range(first, first + ROWS)) for value in values])
    addresses = [address + stride * token for token in range(TOKENS)]
    with e.when(accumulate.equals(0)):
        for value, at in zip(columns, addresses, strict=True):
            e.store(value, at)
    with e.when(accumulate.differs_from(0)):
        for value, at in zip(columns, addresses, strict=True):
            e.store(e.load(value.type, at) + value, at)


def _pack_levels(e: Emitter) -> None:
    """Levels of a byte, (tokens, 32 words), to planes (blocks, planes, words, TOKENS) and the sums of indices.

    The index of a level is `(level - low) / 2^shift`. The last token stands in for those that a block lacks.
    """
    names = ("levels", "stride", "tokens", "words", "planes", "low", "shift", "out", "sums")
    with e.function("pack_levels", *names) as (levels, stride, tokens, words, planes, low, shift, out, sums):
        lowest = e.splat(low.cast("trunc", e.i8), WORD)
        with e.loop((tokens + (TOKENS - 1)).divide(TOKENS)) as block:
            plane_bytes = words * INPUT_WORD_BYTES
            block_out = out + block * planes * plane_bytes
            rows = [levels + (block * TOKENS + token).minimum(tokens - 1) * stride for token in range(TOKENS)]
            with e.loop(words) as word, e.loop(planes) as plane:
                bit = e.splat((e.number(e.i64, 1) << (plane + shift)).cast("trunc", e.i8), WORD)
                to = block_out + plane * plane_bytes + word * INPUT_WORD_BYTES
                for token, row in enumerate(rows):
                    index = e.load(e.vector(e.i8, WORD), row + word * WORD) - lowest
                    e.store((index & bit).differs_from(0).cast("bitcast", e.i32), to + 4 * token)
            total = e.variable(e.number(e.words, 0))
            with e.loop(planes) as plane:
                power = e.splat(plane.cast("trunc", e.i32))
                with e.loop(words) as word:
                    bits = e.load(e.words, block_out + plane * plane_bytes + word * INPUT_WORD_BYTES)
                    total.value = total.value + (bits.popcount() << power)
            e.store(total.value, sums + block * (4 * TOKENS))
