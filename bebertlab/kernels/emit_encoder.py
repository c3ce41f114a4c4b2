"""A whole encoder of signs: attention with softmax or without, residuals and LayerNorms.

`encode` computes all layers in one call. Where attention has a softmax and counts decide which keys are selected,
`encode_limited` does, and stops in a layer where some do not; else each layer is two calls, `score` and `update`,
between which the caller computes the softmax.
Sizes and addresses come in four records of 64-bit integers, whose fields are listed here: of the model, of each layer,
of one call, and of the queries of a layer, which are all tokens of the call or some.
"""

from __future__ import annotations

from collections.abc import Sequence

from bebertlab.kernels.emit import ROWS, WORD, Emitter, Value
from bebertlab.kernels.emit_attention import ATTENTION_PARAMETERS, emit_attention
from bebertlab.kernels.emit_bits import emit_bits
from bebertlab.kernels.emit_residual import emit_residual
from bebertlab.kernels.emit_softmax import (
    LIMIT_PARAMETERS,
    LIMITED_PARAMETERS,
    PROBABILITY_PARAMETERS,
    SCORE_PARAMETERS,
    emit_softmax,
)

MODEL_FIELDS = (
    "layers",
    "layer_records",
    "shifts",  # of the first layer's inputs, (padded hidden,) float32
    "hidden",  # features
    "hidden_words",  # even, as are the other words of inputs of products
    "context_words",
    "ffn_words",
    "heads",
    "head_size",
    "head_words",
    "limit",
    "epsilon",  # bits of a float64
    "softmax",  # 1 or 0
)

#: weights are tiles, thresholds as in `emit_bits`, scales and norms as in `emit_residual`; "two" is 1 where a row of
#: them has two thresholds
LAYER_FIELDS = (
    *(f"{part}_{field}" for part in ("query", "key", "value", "up") for field in ("weights", "thresholds", "two")),
    *(f"{part}_{field}" for part in ("output", "down") for field in ("weights", "scales", "norm")),
    "key_shifts",  # of the inputs of keys, (padded hidden,) float32; 0: those of queries
    "value_shifts",  # likewise
    "context_thresholds",  # 0: a context is the sign of a sum
    "score_step",  # bits of float32 numbers
    "score_factor",
    "border",
    "sum_limits",  # 0: sums do not decide which keys are selected
    "exponent",
)

CALL_FIELDS = (
    "source",  # hidden states, (tokens, padded hidden)
    "result",  # likewise, of the queries of the last layer
    "blocks",  # of tokens
    "key_words",
    "sentences",
    "row_length",  # of scores
    # buffers
    "token_states",
    "token_bits",
    "shifted_bits",
    "queries",
    "keys",
    "values",
    "scratch",
    "contexts",
    "intermediate",
    "scores",
    "probabilities",
    "limits",
    "doubts",
)

QUERY_FIELDS = (
    "rows",  # queries
    "query_blocks",
    "states",
    "bits",
    "numbers",  # of the tokens
    "visible",
    "ranges",
    "starts",
    "spans",
)

_Records = dict[str, Value]


def emit_encoder(e: Emitter) -> None:
    """`encode`; `load`, `select`, `store` and the halves of a layer; and the functions that they call."""
    emit_bits(e)
    emit_attention(e)
    emit_softmax(e)
    emit_residual(e)
    _load(e)
    _project(e)
    _feed(e)
    _halves(e)
    _select(e)
    _store(e)
    _encode(e)
    _encode_limited(e)


def _encode(e: Emitter) -> None:
    """Without softmax; the last layer is computed for the queries `last`."""
    with e.function("encode", "model", "call", "all", "last") as (model, call, all_tokens, last):
        m = e.record(model, MODEL_FIELDS)
        e.call("load", model, call)
        with e.loop(m["layers"]) as index:
            layer = m["layer_records"] + index * (8 * len(LAYER_FIELDS))
            is_last = (index + 1 - m["layers"]).equals(0)
            with e.when(is_last):
                e.call("select", model, call, last)
            queries = is_last.select(last, all_tokens)
            e.call("project", model, layer, call, queries)
            _attend(e, model, layer, call, queries)
            e.call("feed", model, layer, call, queries)
        e.call("store", model, call, last)


def _encode_limited(e: Emitter) -> None:
    """Layers from that of `progress` on, (layer, 1 where its limits are known), up to one with doubts, or the end."""
    with e.function("encode_limited", "model", "call", "all", "last", "progress") as parameters:
        model, call, all_tokens, last, progress = parameters
        m = e.record(model, MODEL_FIELDS)
        first, settled = (e.load(e.i64, progress + 8 * index) for index in range(2))
        doubts = e.variable(e.number(e.i64, 0))
        with e.loop(m["layers"] - first) as offset:
            index = first + offset
            is_last = (index + 1 - m["layers"]).equals(0)
            queries = is_last.select(last, all_tokens)
            records = model, m["layer_records"] + index * (8 * len(LAYER_FIELDS)), call, queries
            with e.when((doubts.value | (offset.equals(0).cast("zext", e.i64) & settled)).equals(0)):
                with e.when(is_last):
                    e.call("select", model, call, last)
                e.call("limit", *records)
                doubts.value = _any_doubt(e, _read(e, *records))
                e.store(index, progress)
            with e.when(doubts.value.equals(0)):
                e.call("finish", *records)
        with e.when(doubts.value.equals(0)):
            e.store(m["layers"], progress)


def _any_doubt(e: Emitter, r: _Records) -> Value:
    total = e.variable(e.number(e.i64, 0))
    with e.loop(r["heads"] * r["query_blocks"]) as index:
        total.value = total.value | e.load(e.i32, r["doubts"] + index * 4).cast("zext", e.i64)
    return total.value


def _attend(e: Emitter, *records: Value) -> None:
    r = _read(e, *records)
    attention = r | {"out": r["contexts"], "out_words": r["context_words"]}
    arguments = [attention[name] for name in ATTENTION_PARAMETERS]
    with e.when(r["context_thresholds"].equals(0)):
        e.call("attend", *arguments)
    with e.when(r["context_thresholds"].differs_from(0)):
        e.call("attend_above", *arguments)


def _load(e: Emitter) -> None:
    """States and bits of all tokens, from the source."""
    with e.function("load", "model", "call") as (model, call):
        m, c = e.record(model, MODEL_FIELDS), e.record(call, CALL_FIELDS)
        states = c["source"], c["token_states"]
        e.call("load_hidden", *states, m["shifts"], c["token_bits"], c["blocks"], m["hidden_words"])


def _select(e: Emitter) -> None:
    """States and bits of queries, from those of all tokens; nothing where the queries are these."""
    with e.function("select", "model", "call", "queries") as (model, call, queries):
        m, c = e.record(model, MODEL_FIELDS), e.record(call, CALL_FIELDS)
        q = e.record(queries, QUERY_FIELDS)
        with e.when((q["states"] - c["token_states"]).differs_from(0)):
            tokens = q["numbers"], q["rows"]
            e.call("select_tokens", c["token_states"], q["states"], *tokens, m["hidden_words"] * WORD)
            e.call("select_tokens", c["token_bits"], q["bits"], *tokens, m["hidden_words"])


def _store(e: Emitter) -> None:
    """The result, from the states of queries."""
    with e.function("store", "model", "call", "queries") as (model, call, queries):
        m, c = e.record(model, MODEL_FIELDS), e.record(call, CALL_FIELDS)
        q = e.record(queries, QUERY_FIELDS)
        e.call("store_hidden", q["states"], c["result"], q["query_blocks"], m["hidden_words"])


def _project(e: Emitter) -> None:
    """Bits of keys and values of all tokens, and of queries; with softmax those of a word lie together."""
    with e.function("project", "model", "layer", "call", "queries") as records:
        r = _read(e, *records)
        words = r["heads"] * r["head_words"]
        soft, one = r["softmax"].differs_from(0), e.number(e.i64, 1)
        block_words = soft.select(one, words)
        blocks = r["blocks"], words, r["hidden_words"]
        inputs = _shifted(e, r, "key")
        _decide(e, "bits", r, "key", inputs, r["keys"], *blocks, block_words, soft.select(r["blocks"], one))
        inputs = _shifted(e, r, "value")
        tiles = words * (WORD // ROWS)
        _decide(e, "columns", r, "value", inputs, r["values"], r["blocks"], tiles, r["hidden_words"], r["key_words"])
        blocks = r["query_blocks"], words, r["hidden_words"]
        group_words = soft.select(r["query_blocks"], one)
        _decide(e, "bits", r, "query", r["bits"], r["queries"], *blocks, block_words, group_words)


def _shifted(e: Emitter, r: _Records, part: str) -> Value:
    """The bits of all tokens with the shift of keys or values."""
    shifts = r[f"{part}_shifts"]
    with e.when(shifts.differs_from(0)):
        e.call("pack_hidden", r["token_states"], shifts, r["shifted_bits"], r["blocks"], r["hidden_words"])
    return shifts.differs_from(0).select(r["shifted_bits"], r["token_bits"])


def _halves(e: Emitter) -> None:
    """Layers with softmax in two halves, between which the caller computes probabilities, or settles doubts.

    `score` and `update` have scores and probabilities between them; `limit` and `finish`, of layers whose keys are
    selected by counts, have limits of these, and doubts.
    """
    _first_half(e, "score", "score_keys", SCORE_PARAMETERS)
    _second_half(e, "update", "attend_probable", PROBABILITY_PARAMETERS)
    _first_half(e, "limit", "limit_keys", LIMIT_PARAMETERS)
    _second_half(e, "finish", "attend_limited", LIMITED_PARAMETERS)


def _first_half(e: Emitter, name: str, function: str, parameters: Sequence[str]) -> None:
    with e.function(name, "model", "layer", "call", "queries") as records:
        e.call("project", *records)
        r = _read(e, *records)
        e.call(function, *(r[parameter] for parameter in parameters))


def _second_half(e: Emitter, name: str, function: str, parameters: Sequence[str]) -> None:
    """States and bits of the queries after the layer."""
    with e.function(name, "model", "layer", "call", "queries") as records:
        r = _read(e, *records)
        attention = r | {"out": r["contexts"], "out_words": r["context_words"]}
        e.call(function, *(attention[parameter] for parameter in parameters))
        e.call("feed", *records)


def _feed(e: Emitter) -> None:
    """Replace states and bits of the queries by those after a layer, from contexts."""
    with e.function("feed", "model", "layer", "call", "queries") as records:
        r = _read(e, *records)
        _add(e, r, "output", r["contexts"], r["context_words"])
        sizes = r["query_blocks"], r["ffn_words"], r["hidden_words"], r["ffn_words"], e.number(e.i64, 1)
        _decide(e, "bits", r, "up", r["bits"], r["intermediate"], *sizes)
        _add(e, r, "down", r["intermediate"], r["ffn_words"])


def _read(e: Emitter, model: Value, layer: Value, call: Value, queries: Value) -> _Records:
    fields = MODEL_FIELDS, LAYER_FIELDS, CALL_FIELDS, QUERY_FIELDS
    values: _Records = {}
    for record, names in zip((model, layer, call, queries), fields, strict=True):
        values |= e.record(record, names)
    return values


def _decide(e: Emitter, function: str, r: _Records, part: str, inputs: Value, out: Value, *sizes: Value) -> None:
    """A map whose results are bits."""
    for name, two in ((f"{function}_below", 0), (f"{function}_outside", 1)):
        with e.when(r[f"{part}_two"].equals(two)):
            e.call(name, inputs, r[f"{part}_weights"], r[f"{part}_thresholds"], out, *sizes)


def _add(e: Emitter, r: _Records, part: str, inputs: Value, words: Value) -> None:
    """A map whose results are added to the states."""
    product = inputs, r[f"{part}_weights"], r[f"{part}_scales"], words
    norm = r["states"], r[f"{part}_norm"], r["hidden"], r["epsilon"]
    e.call("add_product", *product, *norm, r["bits"], r["query_blocks"], r["hidden_words"])
