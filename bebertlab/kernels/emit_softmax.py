"""Attention of signs with a softmax: scores as float32, which the caller replaces by probabilities, then contexts.

Scores are `(head size - 2 count) * score_step * score_factor`, each operation rounded, in rows (heads, queries) of
`row_length` keys, of which those after the end of a sentence are masked. A key is selected where its probability is
above a border.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from bebertlab.kernels.emit import ROWS, TOKENS, WORD, Emitter, Value
from bebertlab.kernels.emit_attention import select_keys, sum_selected, visible_words
from bebertlab.kernels.emit_tile import INPUT_WORD_BYTES, add_counts, row_groups

#: the score of a key after the end of a sentence; its exponential is 0
MASKED_SCORE = -10_000.0

SCORE_PARAMETERS = (
    "queries",  # (heads * head words, query blocks * TOKENS)
    "keys",  # (heads * head words, blocks * TOKENS); a vector more can be read at the end
    "spans",  # (sentences, 4) int64: the first key of a sentence, the end, its first query, the end
    "scores",  # (heads * rows, row length); ROWS rows and a vector more can be written at the end
    "sentences",
    "rows",  # queries
    "row_length",
    "query_blocks",
    "blocks",
    "heads",
    "head_size",
    "head_words",
    "score_step",  # bits of a float32, as are the other two
    "score_factor",
)

PROBABILITY_PARAMETERS = (
    "probabilities",  # (heads * rows, row length); all keys of a call more can be read at either end
    "border",  # bits of a float32
    "rows",
    "row_length",
    "starts",  # (query blocks * TOKENS,) int64: the first key of the sentence of each query
    # as in attention without softmax
    "values",
    "visible",
    "ranges",
    "scratch",
    "out",
    "query_blocks",
    "heads",
    "head_size",
    "head_words",
    "key_words",
    "out_words",
    "context_thresholds",
)

LIMIT_PARAMETERS = (
    "queries",
    "keys",
    "visible",
    "ranges",
    "limits",  # (heads, query blocks, TOKENS) int32: minus the count from which on keys are not selected
    "doubts",  # (heads, query blocks) int32: bits over the queries that sums do not decide
    "sum_limits",  # (head size + 1, 2) float32: sums up to which a count is selected, above which it is not
    "exponent",  # bits of a float32: the exponential of a count is `2^(-exponent * count)`
    "query_blocks",
    "blocks",
    "heads",
    "head_size",
    "head_words",
    "key_words",
)

LIMITED_PARAMETERS = (
    "queries",
    "keys",
    "limits",
    "blocks",
    "values",
    "visible",
    "ranges",
    "scratch",
    "out",
    "query_blocks",
    "heads",
    "head_size",
    "head_words",
    "key_words",
    "out_words",
    "context_thresholds",
)

_BYTES = 4 * TOKENS  #: of a vector of scores
_SIGNIFICAND_BITS = 23
_ROUNDING = 1.5 * 2.0**_SIGNIFICAND_BITS  #: added to a float32, it leaves an integer in the lowest bits
#: of the powers of ln 2 times a fraction between -1/2 and 1/2, from the highest: 2^fraction
_COEFFICIENTS = [math.log(2) ** power / math.factorial(power) for power in range(6, -1, -1)]


def emit_softmax(e: Emitter) -> None:
    """`score_keys` and `attend_probable`; where counts decide, `limit_keys` and `attend_limited` (`selection.py`)."""
    _score_keys(e)
    _attend_probable(e)
    _limit_keys(e)
    _attend_limited(e)


def _score_keys(e: Emitter) -> None:
    """Rows in their order, ROWS of a sentence at once, each from its end to its start.

    What is written after the end of a row, or of a sentence, is overwritten by what comes later.
    """
    with e.function("score_keys", *SCORE_PARAMETERS) as parameters:
        p = dict(zip(SCORE_PARAMETERS, parameters, strict=True))
        with e.loop(p["heads"]) as head, e.loop(p["sentences"]) as sentence:
            span = p["spans"] + sentence * 32
            first_key, end_key, first_query, end_query = (e.load(e.i64, span + 8 * index) for index in range(4))
            length = end_key - first_key
            with e.loop((end_query - first_query + (ROWS - 1)).divide(ROWS)) as group:
                query = first_query + group * ROWS
                row = p["scores"] + (head * p["rows"] + query) * p["row_length"] * 4
                _mask(e, p["row_length"], length, row)
                _score(e, p, head, (first_key, length), query, row)


def _mask(e: Emitter, row_length: Value, length: Value, row: Value) -> None:
    """The vectors that hold no key."""
    vectors, used = ((size + (TOKENS - 1)).divide(TOKENS) for size in (row_length, length))
    with e.countdown(vectors - used) as index:
        for number in range(ROWS):
            at = row + row_length * (4 * number) + (used + index) * _BYTES
            e.store(e.number(e.floats, MASKED_SCORE), at)


def _score(e: Emitter, p: dict[str, Value], head: Value, keys: tuple[Value, Value], query: Value, row: Value) -> None:
    first_key, length = keys
    query_stride, key_stride = p["query_blocks"] * INPUT_WORD_BYTES, p["blocks"] * INPUT_WORD_BYTES
    first_word = head * p["head_words"]
    queries = p["queries"] + first_word * query_stride + query * 4
    size = e.splat(p["head_size"].cast("trunc", e.i32))
    step, factor = (_float(e, p[name]) for name in ("score_step", "score_factor"))
    masked = e.number(e.floats, MASKED_SCORE)
    lanes = Value(e, e.ir.Constant(e.words, [*range(TOKENS)]))
    with e.countdown((length + (TOKENS - 1)).divide(TOKENS)) as index:
        inputs = p["keys"] + first_word * key_stride + (first_key + index * TOKENS) * 4
        real = lanes < e.splat((length - index * TOKENS).cast("trunc", e.i32))
        for rows in row_groups(e):
            counts = e.variables(e.number(e.words, 0), len(rows))
            strides = {"input_word_bytes": key_stride, "weight_word_bytes": query_stride}
            add_counts(e, "xor", inputs, queries, p["head_words"], counts, rows, unrolled=1, **strides)
            for number, count in zip(rows, counts, strict=True):
                score = (size - (count.value << 1)).cast("sitofp", e.floats) * step * factor
                e.store(real.select(score, masked), row + p["row_length"] * (4 * number) + index * _BYTES)


def _attend_probable(e: Emitter) -> None:
    """Contexts, a head and a block of queries at a time."""
    with e.function("attend_probable", *PROBABILITY_PARAMETERS) as parameters:
        p = dict(zip(PROBABILITY_PARAMETERS, parameters, strict=True))
        border = _float(e, p["border"])
        with e.loop(p["heads"]) as head, e.loop(p["query_blocks"]) as block:
            words = visible_words(e, p, block)
            with e.loop(TOKENS) as token:
                _select(e, p, head, block * TOKENS + token, words, border, p["scratch"] + token * 4)

            def select(key_word: Value) -> Value:
                return e.load(e.words, p["scratch"] + key_word * INPUT_WORD_BYTES)

            sum_selected(e, p, head, block, select, thresholds=True)


def _select(
    e: Emitter, p: dict[str, Value], head: Value, query: Value, words: tuple[Value, Value], border: Value, out: Value
) -> None:
    """Bits over the keys of one query; those that it does not see are arbitrary."""
    first, end = words
    start = e.load(e.i64, p["starts"] + query * 8)
    row = p["probabilities"] + ((head * p["rows"] + query) * p["row_length"] - start) * 4
    with e.loop(end - first) as offset:
        at = row + (first + offset) * (4 * WORD)
        low, high = (border < e.load(e.floats, at + half * _BYTES) for half in range(2))
        bits = low.lanes(*range(WORD), second=high).cast("bitcast", e.i32)
        e.store(bits, out + (first + offset) * INPUT_WORD_BYTES)


def _limit_keys(e: Emitter) -> None:
    """The sum of the exponentials of each query, a head and a block at a time, and the counts that it selects."""
    with e.function("limit_keys", *LIMIT_PARAMETERS) as parameters:
        p = dict(zip(LIMIT_PARAMETERS, parameters, strict=True))
        exponent = e.number(e.floats, 0.0) - _float(e, p["exponent"])
        with e.loop(p["heads"]) as head, e.loop(p["query_blocks"]) as block:
            first, end = visible_words(e, p, block)
            visible = p["visible"] + block * p["key_words"] * INPUT_WORD_BYTES
            total = e.variable(e.number(e.floats, 0.0))
            with e.loop(end - first) as offset:
                word = e.load(e.words, visible + (first + offset) * INPUT_WORD_BYTES)
                total.value = total.value + _exponentials(e, p, head, block, first + offset, word, exponent)
            at = head * p["query_blocks"] + block
            selected, possible = _counts_of_sum(e, p, total.value)
            e.store(e.number(e.words, 0) - selected, p["limits"] + at * _BYTES)
            doubts = (selected ^ possible).differs_from(0).cast("bitcast", e.i16).cast("zext", e.i32)
            e.store(doubts, p["doubts"] + at * 4)


def _exponentials(
    e: Emitter, p: dict[str, Value], head: Value, block: Value, key_word: Value, visible: Value, exponent: Value
) -> Value:
    """The sum over the visible ones of 32 keys."""
    query, tile, strides = _bits_by_token(e, p, head, block, key_word)
    zero = e.number(e.floats, 0.0)
    total, word = e.variable(zero), e.variable(visible)
    with e.loop(WORD // ROWS) as group:
        for rows in row_groups(e):
            counts = e.variables(e.number(e.words, 0), len(rows))
            input_bytes, weight_bytes = strides
            add_counts(
                e,
                "xor",
                query,
                tile(group),
                p["head_words"],
                counts,
                rows,
                input_word_bytes=input_bytes,
                weight_word_bytes=weight_bytes,
                unrolled=1,
            )
            for row, count in zip(rows, counts, strict=True):
                power = _power_of_two(e, count.value.cast("sitofp", e.floats) * exponent)
                seen = (word.value & (1 << row)).differs_from(0)
                total.value = total.value + seen.select(power, zero)
        word.value = word.value >> ROWS
    return total.value


def _bits_by_token(
    e: Emitter, p: dict[str, Value], head: Value, block: Value, key_word: Value
) -> tuple[Value, Callable[[Value], Value], tuple[Value, Value]]:
    """Where the bits of a block of queries and of 32 keys are, and the bytes from a word to the next."""
    query_bytes, key_bytes = p["query_blocks"] * INPUT_WORD_BYTES, p["blocks"] * INPUT_WORD_BYTES
    first_word = head * p["head_words"]
    query = p["queries"] + first_word * query_bytes + block * INPUT_WORD_BYTES
    keys = p["keys"] + first_word * key_bytes + key_word * (4 * WORD)
    return query, lambda group: keys + group * (4 * ROWS), (query_bytes, key_bytes)


def _power_of_two(e: Emitter, x: Value) -> Value:
    """2^x of floats of magnitudes below 2^22, to about a millionth of it."""
    shifted = x + _ROUNDING
    fraction = x - (shifted - _ROUNDING)
    power = e.number(e.floats, _COEFFICIENTS[0])
    for coefficient in _COEFFICIENTS[1:]:
        power = e.intrinsic("llvm.fmuladd", e.floats, power, fraction, e.number(e.floats, coefficient))
    exponent = shifted.cast("bitcast", e.words) << _SIGNIFICAND_BITS
    return (power.cast("bitcast", e.words) + exponent).cast("bitcast", e.floats)


def _counts_of_sum(e: Emitter, p: dict[str, Value], total: Value) -> tuple[Value, Value]:
    """How many counts, from 0 on, a sum certainly selects, and how many perhaps."""
    zero = e.number(e.words, 0)
    size = e.splat((p["head_size"] + 1).cast("trunc", e.i32))
    above = [e.variable(zero) for _ in range(2)]
    with e.loop(p["head_size"] + 1) as count:
        for index, number in enumerate(above):
            limit = e.load_splat(e.f32, p["sum_limits"] + count * 8 + 4 * index)
            number.value = number.value + (limit < total).cast("zext", e.words)
    certain, perhaps = (size - number.value for number in above)
    return certain, perhaps


def _attend_limited(e: Emitter) -> None:
    """Contexts, a head and a block of queries at a time, each query with its own limit."""
    with e.function("attend_limited", *LIMITED_PARAMETERS) as parameters:
        p = dict(zip(LIMITED_PARAMETERS, parameters, strict=True))
        with e.loop(p["heads"]) as head, e.loop(p["query_blocks"]) as block:
            start = e.load(e.words, p["limits"] + (head * p["query_blocks"] + block) * _BYTES)

            def select(key_word: Value, head: Value = head, block: Value = block, start: Value = start) -> Value:
                query, tile, strides = _bits_by_token(e, p, head, block, key_word)
                return select_keys(e, query, tile, p["head_words"], start, *strides)

            sum_selected(e, p, head, block, select, thresholds=True)


def _float(e: Emitter, bits: Value) -> Value:
    """The float32 of these bits in all lanes."""
    return e.splat(bits.cast("trunc", e.i32).cast("bitcast", e.f32))
