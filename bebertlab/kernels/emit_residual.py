"""Products of signs that are added to a residual, LayerNorm, and what turns hidden states into blocks and back.

Hidden states are float32 in blocks (features, TOKENS). LayerNorm is computed in float64 and rounded once, so that the
order of additions does not show; the square of a float32 is exact there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bebertlab.kernels.emit import ROWS, TOKENS, WORD, Emitter, Value
from bebertlab.kernels.emit_tile import INPUT_WORD_BYTES, WEIGHT_WORD_BYTES, add_counts, row_groups

#: bytes of the constants of a row of weights: its scale and bias as float32, its sum if no bits differ as int32
SCALE_BYTES = 12
#: bytes of the constants of a feature: gamma and beta as float64, the shift as float32, and 4 unused ones
NORM_BYTES = 24

_FEATURE_BYTES = 4 * TOKENS  #: of one feature of all tokens of a block
_UNROLLED_ROWS = 8


def emit_residual(e: Emitter) -> None:
    """`add_product`, of which LayerNorm is part; `pack_hidden`, `load_hidden`, `store_hidden` and `select_tokens`."""
    _add_product(e)
    _pack_hidden(e)
    _load_hidden(e)
    _store_hidden(e)
    _select_tokens(e)


def _add_product(e: Emitter) -> None:
    """hidden = LayerNorm(hidden + product * scale + bias), and out = its signs after a shift, a block at a time."""
    names = (
        "inputs",
        "weights",
        "scales",
        "words",
        "hidden",
        "norm",
        "features",
        "epsilon",
        "out",
        "blocks",
    )
    with e.function("add_product", *names, "out_words") as parameters:
        inputs, weights, scales, words, hidden, norm, features, epsilon, out, blocks, out_words = parameters
        with e.loop(blocks) as block:
            at = hidden + block * out_words * (WORD * _FEATURE_BYTES)
            zero = e.number(e.doubles, 0.0)
            total, squares = e.variable(zero), e.variable(zero)
            with e.loop(out_words * (WORD // ROWS)) as tile:
                counts = _counts(e, inputs + block * words * INPUT_WORD_BYTES, weights, tile, words)
                for row, count in enumerate(counts):
                    constants = scales + (tile * ROWS + row) * SCALE_BYTES
                    scale, bias = e.load_splat(e.f32, constants), e.load_splat(e.f32, constants + 4)
                    product = e.load_splat(e.i32, constants + 8) - (count << 1)
                    to = at + (tile * ROWS + row) * _FEATURE_BYTES
                    value = e.load(e.floats, to) + (product.cast("sitofp", e.floats) * scale + bias)
                    e.store(value, to)
                    double = value.cast("fpext", e.doubles)
                    total.value = total.value + double
                    squares.value = squares.value.plus_square_of(double)
            mean, inverse = statistics(e, total.value, squares.value, features, epsilon)
            _normalize(e, at, norm, mean, inverse, out + block * out_words * INPUT_WORD_BYTES, out_words)


def _counts(e: Emitter, inputs: Value, weights: Value, tile: Value, words: Value) -> Iterator[Value]:
    """The numbers of bits that differ, for each row of a tile."""
    for rows in row_groups(e):
        counts = e.variables(e.number(e.words, 0), len(rows))
        add_counts(e, "xor", inputs, weights + tile * words * WEIGHT_WORD_BYTES, words, counts, rows)
        yield from (count.value for count in counts)


def statistics(e: Emitter, total: Value, squares: Value, features: Value, epsilon: Value) -> tuple[Value, Value]:
    """The mean and the inverse standard deviation of each lane, from the sums of its features and of their squares."""
    lanes = total.type.count
    count = e.splat(features.cast("sitofp", e.f64), lanes)
    mean = total / count
    variance = (squares / count - mean * mean).maximum(e.number(total.type, 0.0))
    root = (variance + e.splat(epsilon.cast("bitcast", e.f64), lanes)).square_root()
    return mean, e.number(total.type, 1.0) / root


def _normalize(e: Emitter, hidden: Value, norm: Value, mean: Value, inverse: Value, out: Value, words: Value) -> None:
    def normalized(feature: Value) -> Value:
        at, constants = hidden + feature * _FEATURE_BYTES, norm + feature * NORM_BYTES
        gamma, beta = e.load_splat(e.f64, constants), e.load_splat(e.f64, constants + 8)
        centered = e.load(e.floats, at).cast("fpext", e.doubles) - mean
        value = (centered * inverse * gamma + beta).cast("fptrunc", e.floats)
        e.store(value, at)
        return value + e.load_splat(e.f32, constants + 16)

    _pack_signs(e, out, words, normalized)


def _pack_signs(e: Emitter, out: Value, words: Value, value_of: Callable[[Value], Value]) -> None:
    """Bits (words, TOKENS) of whether a feature's values are at least 0; -0.0 must not be among them."""
    with e.loop(words) as index:
        word = e.variable(e.number(e.words, 0))
        with e.countdown(WORD // _UNROLLED_ROWS) as group:
            for row in reversed(range(_UNROLLED_ROWS)):
                feature = index * WORD + group * _UNROLLED_ROWS + row
                word.value = word.value.push_sign_of(value_of(feature).cast("bitcast", e.words))
        e.store(word.value ^ -1, out + index * INPUT_WORD_BYTES)


def _load_hidden(e: Emitter) -> None:
    """Hidden states (tokens, features) to blocks, and out = their signs after a shift."""
    with e.function("load_hidden", "source", "hidden", "shifts", "out", "blocks", "out_words") as parameters:
        source, hidden, shifts, out, blocks, words = parameters
        stride = words * (WORD * 4)
        with e.loop(blocks) as block:
            block_source, to = source + block * TOKENS * stride, hidden + block * words * (WORD * _FEATURE_BYTES)
            with e.loop(words * (WORD // TOKENS)) as group:
                rows = [e.load(e.floats, block_source + stride * row + group * 64) for row in range(TOKENS)]
                for column, values in enumerate(e.transpose(rows)):
                    e.store(values, to + (group * TOKENS + column) * _FEATURE_BYTES)
        e.call("pack_hidden", hidden, shifts, out, blocks, words)


def _pack_hidden(e: Emitter) -> None:
    """The signs of hidden states after a shift."""
    with e.function("pack_hidden", "hidden", "shifts", "out", "blocks", "words") as parameters:
        hidden, shifts, out, blocks, words = parameters
        with e.loop(blocks) as block:
            states = hidden + block * words * (WORD * _FEATURE_BYTES)

            def shifted(feature: Value, states: Value = states) -> Value:
                return e.load(e.floats, states + feature * _FEATURE_BYTES) + e.load_splat(e.f32, shifts + feature * 4)

            _pack_signs(e, out + block * words * INPUT_WORD_BYTES, words, shifted)


def _store_hidden(e: Emitter) -> None:
    """Blocks to hidden states (tokens, features)."""
    with e.function("store_hidden", "hidden", "out", "blocks", "words") as (hidden, out, blocks, words):
        stride = words * (WORD * 4)
        with e.loop(blocks) as block, e.loop(words * (WORD // TOKENS)) as group:
            at = hidden + block * words * (WORD * _FEATURE_BYTES) + group * (TOKENS * _FEATURE_BYTES)
            columns = e.transpose([e.load(e.floats, at + row * _FEATURE_BYTES) for row in range(TOKENS)])
            for row, values in enumerate(columns):
                e.store(values, out + (block * TOKENS + row) * stride + group * 64)


def _select_tokens(e: Emitter) -> None:
    """Some tokens of (blocks, rows, TOKENS) words of 32 bits, in new blocks."""
    with e.function("select_tokens", "source", "out", "tokens", "count", "rows") as parameters:
        source, out, tokens, count, rows = parameters
        with e.loop(count) as index:
            token = e.load(e.i64, tokens + index * 8)
            start, end = (
                base + (number >> 4) * rows * _FEATURE_BYTES + (number & (TOKENS - 1)) * 4
                for base, number in ((source, token), (out, index))
            )
            with e.loop(rows) as row:
                e.store(e.load(e.i32, start + row * _FEATURE_BYTES), end + row * _FEATURE_BYTES)
