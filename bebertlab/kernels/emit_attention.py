"""Attention without softmax, in bits: a query sums the signs of the values of the keys that it selects.

A key is selected where the bits of query and key differ in less than `limit` places, and the query may see it; the
result is the sign of the sum, or whether the sum is at least the threshold of a feature. Heads take whole words; spare
bits are equal in queries and keys, and 0 in the result.
"""

from __future__ import annotations

from collections.abc import Callable

from bebertlab.kernels.emit import ROWS, WORD, Emitter, Value, Variable
from bebertlab.kernels.emit_tile import INPUT_WORD_BYTES, WEIGHT_WORD_BYTES, add_counts, row_groups

ATTENTION_PARAMETERS = (
    "queries",  # (query blocks, heads * head words, TOKENS)
    "keys",  # likewise, of an even number of blocks
    "values",  # (heads * head words * 4, key words, ROWS): bits over keys
    "visible",  # (query blocks, key words, TOKENS): bits over keys
    "ranges",  # (query blocks, 2): the words of keys that are visible to some token, first and end
    "scratch",  # (key words, TOKENS)
    "out",  # (query blocks, out words, TOKENS)
    "query_blocks",
    "heads",
    "head_size",
    "head_words",
    "key_words",
    "out_words",
    "limit",
    "context_thresholds",  # (heads * head words * 32,) int32: `2^26 + 1` plus the smallest sum whose bit is set
)

#: added to thresholds, so that they are positive
SUM_OFFSET = 1 << 26


def emit_attention(e: Emitter) -> None:
    """`attend`, whose thresholds are not read, and `attend_above`: a head and a block of queries at a time."""
    for name, thresholds in (("attend", False), ("attend_above", True)):
        with e.function(name, *ATTENTION_PARAMETERS) as parameters:
            p = dict(zip(ATTENTION_PARAMETERS, parameters, strict=True))
            with e.loop(p["heads"]) as head, e.loop(p["query_blocks"]) as block:
                _attend(e, p, head, block, thresholds=thresholds)


def _attend(e: Emitter, p: dict[str, Value], head: Value, block: Value, *, thresholds: bool) -> None:
    width = p["heads"] * p["head_words"]
    head_offset = head * p["head_words"] * INPUT_WORD_BYTES
    query = p["queries"] + block * width * INPUT_WORD_BYTES + head_offset
    start = e.number(e.words, 0) - e.splat(p["limit"].cast("trunc", e.i32))

    def select(key_word: Value) -> Value:
        keys = p["keys"] + key_word * 2 * width * INPUT_WORD_BYTES + head_offset

        def tile(group: Value) -> Value:
            return keys + (group >> 1) * width * INPUT_WORD_BYTES + (group & 1) * (4 * ROWS)

        return select_keys(e, query, tile, p["head_words"], start)

    sum_selected(e, p, head, block, select, thresholds=thresholds)


def sum_selected(
    e: Emitter,
    p: dict[str, Value],
    head: Value,
    block: Value,
    select: Callable[[Value], Value],
    *,
    thresholds: bool,
) -> None:
    """The context of a head and a block of queries; `select` gives bits over the 32 keys of a word."""
    first, end = visible_words(e, p, block)
    visible = p["visible"] + block * p["key_words"] * INPUT_WORD_BYTES
    selected = e.variable(e.number(e.words, 0))
    with e.loop(end - first) as offset:
        at = (first + offset) * INPUT_WORD_BYTES
        word = select(first + offset) & e.load(e.words, visible + at)
        e.store(word, p["scratch"] + at)
        selected.value = selected.value + word.popcount()
    _sum_values(e, p, head, block, (first, end), selected.value, thresholds=thresholds)


def visible_words(e: Emitter, p: dict[str, Value], block: Value) -> tuple[Value, Value]:
    """The first word of keys that a block of queries sees, and the end."""
    first, end = (e.load(e.i64, p["ranges"] + block * 16 + 8 * index) for index in range(2))
    return first, end


def select_keys(
    e: Emitter,
    query: Value,
    tile_of: Callable[[Value], Value],
    head_words: Value,
    start: Value,
    query_word_bytes: int | Value = INPUT_WORD_BYTES,
    key_word_bytes: int | Value = INPUT_WORD_BYTES,
) -> Value:
    """Bits over 32 keys: whether a query selects them, whose counts begin at `start`, minus the limit."""
    word = e.variable(e.number(e.words, 0))
    with e.countdown(WORD // ROWS) as group:  # the last key first: it ends in the highest bit
        counts: list[Variable] = []
        for rows in row_groups(e):
            part = e.variables(start, len(rows))
            strides = {"input_word_bytes": query_word_bytes, "weight_word_bytes": key_word_bytes}
            add_counts(e, "xor", query, tile_of(group), head_words, part, rows, unrolled=1, **strides)
            counts += part
        for count in reversed(counts):
            word.value = word.value.push_sign_of(count.value)
    return word.value


def _sum_values(
    e: Emitter,
    p: dict[str, Value],
    head: Value,
    block: Value,
    keys: tuple[Value, Value],
    selected: Value,
    *,
    thresholds: bool,
) -> None:
    """Bits over the features of a head, of the keys whose bits are in scratch; `selected` is their number.

    Counts of values that are 1 start so that they reach 0 where the bit is set: where at least half of the selected
    values are 1, or the sum is at least the threshold.
    """
    first, end = keys
    half = e.number(e.words, 0) - ((selected + 1) >> 1)
    out = p["out"] + (block * p["out_words"] + head * p["head_words"]) * INPUT_WORD_BYTES
    tile_bytes = p["key_words"] * WEIGHT_WORD_BYTES
    with e.loop(p["head_words"]) as index:
        word = e.variable(e.number(e.words, 0))
        with e.countdown(WORD // ROWS) as group:
            tile = (head * p["head_words"] + index) * (WORD // ROWS) + group
            values = p["values"] + tile * tile_bytes + first * WEIGHT_WORD_BYTES
            counts: list[Variable] = []
            for rows in row_groups(e):
                if thresholds:
                    at = p["context_thresholds"] + tile * (4 * ROWS)
                    part = [e.variable(_start(e, selected, at + 4 * row)) for row in rows]
                else:
                    part = e.variables(half, len(rows))
                add_counts(
                    e, "and", p["scratch"] + first * INPUT_WORD_BYTES, values, end - first, part, rows, unrolled=1
                )
                counts += part
            for count in reversed(counts):
                word.value = word.value.push_sign_of(count.value)
        used = (p["head_size"] - index * WORD).minimum(e.number(e.i64, WORD))
        mask = e.splat(((e.number(e.i64, 1) << used) - 1).cast("trunc", e.i32))
        e.store((word.value ^ -1) & mask, out + index * INPUT_WORD_BYTES)


def _start(e: Emitter, selected: Value, threshold: Value) -> Value:
    """Minus half of the selected keys and the threshold, rounded up: sums are twice the count minus the selected."""
    return e.number(e.words, SUM_OFFSET // 2) - ((selected + e.load_splat(e.i32, threshold)) >> 1)
