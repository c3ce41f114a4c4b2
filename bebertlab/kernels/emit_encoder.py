"""A whole encoder of signs in one call: attention without softmax, residuals and LayerNorms.

Sizes and addresses come in three records of 64-bit integers, whose fields are listed here: of the model, of each layer,
and of one call.
"""

from __future__ import annotations

from bebertlab.kernels.emit import ROWS, WORD, Emitter, Value
from bebertlab.kernels.emit_attention import ATTENTION_PARAMETERS, emit_attention
from bebertlab.kernels.emit_bits import emit_bits
from bebertlab.kernels.emit_residual import emit_residual

MODEL_FIELDS = (
    "layers",
    "layer_records",
    "shifts",  # of the first layer's inputs, (padded hidden,) float32
    "hidden",  # features
    "hidden_words",  # even, as are the other words of inputs of products
    "context",
    "context_words",
    "ffn",
    "ffn_words",
    "heads",
    "head_size",
    "head_words",
    "limit",
    "epsilon",  # bits of a float64
)

#: weights are tiles, thresholds as in `emit_bits`, scales and norms as in `emit_residual`; "two" is 1 where a row of
#: them has two thresholds
LAYER_FIELDS = (
    *(f"{part}_{field}" for part in ("query", "key", "value", "up") for field in ("weights", "thresholds", "two")),
    *(f"{part}_{field}" for part in ("output", "down") for field in ("weights", "scales", "norm")),
)

CALL_FIELDS = (
    "source",  # hidden states, (tokens, padded hidden)
    "result",  # likewise, of the selected tokens
    "blocks",  # of tokens
    "key_words",
    "visible",
    "ranges",
    "selected",  # numbers of the tokens whose last hidden state is wanted; 0: all
    "selected_count",
    "selected_blocks",
    "selected_visible",
    "selected_ranges",
    # buffers
    "states",
    "bits",
    "selected_states",
    "selected_bits",
    "queries",
    "keys",
    "values",
    "scratch",
    "contexts",
    "intermediate",
)


def emit_encoder(e: Emitter) -> None:
    """`encode`, and the functions that it calls."""
    emit_bits(e)
    emit_attention(e)
    emit_residual(e)
    _layer(e)
    with e.function("encode", "model", "call") as (model, call):
        m, c = e.record(model, MODEL_FIELDS), e.record(call, CALL_FIELDS)
        e.call("load_hidden", c["source"], c["states"], m["shifts"], c["bits"], c["blocks"], m["hidden_words"])
        some = c["selected"].differs_from(0)
        whole_layers = some.select(m["layers"] - 1, m["layers"])
        with e.loop(whole_layers) as index:
            records = model, m["layer_records"] + index * (8 * len(LAYER_FIELDS)), call
            e.call("layer", *records, c["states"], c["bits"], c["blocks"], c["visible"], c["ranges"])
        with e.when(some):
            _last_layer(e, model, call, m, c)
        with e.when(c["selected"].equals(0)):
            e.call("store_hidden", c["states"], c["result"], c["blocks"], m["hidden_words"])


def _last_layer(e: Emitter, model: Value, call: Value, m: dict[str, Value], c: dict[str, Value]) -> None:
    """Of the selected tokens only; all tokens are keys."""
    tokens = c["selected"], c["selected_count"]
    e.call("select_tokens", c["states"], c["selected_states"], *tokens, m["hidden_words"] * WORD)
    e.call("select_tokens", c["bits"], c["selected_bits"], *tokens, m["hidden_words"])
    record = m["layer_records"] + (m["layers"] - 1) * (8 * len(LAYER_FIELDS))
    states, blocks = c["selected_states"], c["selected_blocks"]
    queries = states, c["selected_bits"], blocks, c["selected_visible"], c["selected_ranges"]
    e.call("layer", model, record, call, *queries)
    e.call("store_hidden", states, c["result"], blocks, m["hidden_words"])


def _layer(e: Emitter) -> None:
    """Replace states and bits of the queries by those after a layer."""
    names = ("model", "layer", "call", "states", "bits", "blocks", "visible", "ranges")
    with e.function("layer", *names) as (model, layer, call, states, bits, blocks, visible, ranges):
        m, w = e.record(model, MODEL_FIELDS), e.record(layer, LAYER_FIELDS)
        c = e.record(call, CALL_FIELDS)
        heads_words = m["heads"] * m["head_words"]
        hidden_words = m["hidden_words"]
        _decide(e, "bits", w, "key", c["bits"], c["keys"], c["blocks"], heads_words, hidden_words, heads_words)
        _decide(
            e,
            "columns",
            w,
            "value",
            c["bits"],
            c["values"],
            c["blocks"],
            heads_words * (WORD // ROWS),
            hidden_words,
            c["key_words"],
        )
        _decide(e, "bits", w, "query", bits, c["queries"], blocks, heads_words, hidden_words, heads_words)
        attention = (
            m
            | c
            | {
                "visible": visible,
                "ranges": ranges,
                "out": c["contexts"],
                "query_blocks": blocks,
                "out_words": m["context_words"],
            }
        )
        e.call("attend", *(attention[name] for name in ATTENTION_PARAMETERS))
        _add(e, m, w, "output", c["contexts"], m["context"], m["context_words"], states, bits, blocks)
        _decide(e, "bits", w, "up", bits, c["intermediate"], blocks, m["ffn_words"], hidden_words, m["ffn_words"])
        _add(e, m, w, "down", c["intermediate"], m["ffn"], m["ffn_words"], states, bits, blocks)


def _decide(
    e: Emitter,
    function: str,
    w: dict[str, Value],
    part: str,
    inputs: Value,
    out: Value,
    *sizes: Value,
) -> None:
    blocks, groups, words, out_words = sizes
    arguments = inputs, w[f"{part}_weights"], w[f"{part}_thresholds"], out, blocks, groups, words, out_words
    for name, two in ((f"{function}_below", 0), (f"{function}_outside", 1)):
        with e.when(w[f"{part}_two"].equals(two)):
            e.call(name, *arguments)


def _add(
    e: Emitter,
    m: dict[str, Value],
    w: dict[str, Value],
    part: str,
    inputs: Value,
    columns: Value,
    words: Value,
    states: Value,
    bits: Value,
    blocks: Value,
) -> None:
    e.call(
        "add_product",
        inputs,
        w[f"{part}_weights"],
        w[f"{part}_scales"],
        columns,
        words,
        states,
        w[f"{part}_norm"],
        m["hidden"],
        m["epsilon"],
        bits,
        blocks,
        m["hidden_words"],
    )
