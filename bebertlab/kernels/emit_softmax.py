"""Attention of signs with a softmax: scores as float32, which the caller replaces by probabilities, then contexts.

Scores are `(head size - 2 count) * score_step * score_factor`, each operation rounded, in rows (heads, queries) of
`row_length` keys, of which those after the end of a sentence are masked. A key is selected where its probability is
above a border.
"""

from __future__ import annotations

from bebertlab.kernels.emit import ROWS, TOKENS, WORD, Emitter, Value
from bebertlab.kernels.emit_attention import sum_values, visible_words
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

_BYTES = 4 * TOKENS  #: of a vector of scores


def emit_softmax(e: Emitter) -> None:
    """`score_keys` and `attend_probable`."""
    _score_keys(e)
    _attend_probable(e)


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
            first, end = visible_words(e, p, block)
            with e.loop(TOKENS) as token:
                _select(e, p, head, block * TOKENS + token, (first, end), border, p["scratch"] + token * 4)
            visible = p["visible"] + block * p["key_words"] * INPUT_WORD_BYTES
            selected = e.variable(e.number(e.words, 0))
            with e.loop(end - first) as offset:
                at = (first + offset) * INPUT_WORD_BYTES
                word = e.load(e.words, p["scratch"] + at) & e.load(e.words, visible + at)
                e.store(word, p["scratch"] + at)
                selected.value = selected.value + word.popcount()
            sum_values(e, p, head, block, (first, end), selected.value, thresholds=True)


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


def _float(e: Emitter, bits: Value) -> Value:
    """The float32 of these bits in all lanes."""
    return e.splat(bits.cast("trunc", e.i32).cast("bitcast", e.f32))
