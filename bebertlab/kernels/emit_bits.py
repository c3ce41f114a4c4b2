"""Products of signs whose results are bits again: whether a count of bits that differ is below a threshold.

A row's thresholds are two int32, `-low` and `high - low - 1`; its bit is set where `count < low` or `count >= high`.
Counts begin at `-low`, so that the first comparison is their sign bit; where no row has a `high`, nothing else is
computed.
"""

from __future__ import annotations

from collections.abc import Iterator

from bebertlab.kernels.emit import ROWS, WORD, Emitter, Value
from bebertlab.kernels.emit_tile import INPUT_WORD_BYTES, WEIGHT_WORD_BYTES, add_counts, row_groups

#: bytes of a row's thresholds
THRESHOLD_BYTES = 8

_TILES = WORD // ROWS  #: of the rows of a word


def emit_bits(e: Emitter) -> None:
    """`bits_below` and `bits_outside`, bits over rows; `columns_below` and `columns_outside`, bits over tokens."""
    for two_sided in (False, True):
        _bits(e, two_sided=two_sided)
        _columns(e, two_sided=two_sided)


def _bits(e: Emitter, *, two_sided: bool) -> None:
    """Bits (words, TOKENS) of each block: bit j of word i is that of row 32 i + 31 - j.

    The first row is pushed first and ends in the highest bit, so that weights are read from front to back. From a block
    to the next are `block_words` times TOKENS words, from a group of 32 rows to the next `group_words` times TOKENS.
    """
    names = ("inputs", "weights", "thresholds", "out", "blocks", "groups", "words", "block_words", "group_words")
    with e.function(f"bits_{'outside' if two_sided else 'below'}", *names) as parameters:
        inputs, weights, thresholds, out, blocks, groups, words, block_words, group_words = parameters
        with e.loop(groups) as group, e.loop(blocks) as block:
            word = e.variable(e.number(e.words, 0))
            with e.loop(_TILES) as index:
                tile = group * _TILES + index
                decided = _decide(
                    e, inputs + block * words * INPUT_WORD_BYTES, weights, thresholds, tile, words, two_sided
                )
                for bit in decided:
                    word.value = word.value.push_sign_of(bit)
            e.store(word.value, out + (block * block_words + group * group_words) * INPUT_WORD_BYTES)


def _columns(e: Emitter, *, two_sided: bool) -> None:
    """Bits (tiles, words, ROWS), as those of weights: bit j of word i is that of token 32 i + j."""
    names = ("inputs", "weights", "thresholds", "out", "blocks", "tiles", "words", "out_words")
    with e.function(f"columns_{'outside' if two_sided else 'below'}", *names) as parameters:
        inputs, weights, thresholds, out, blocks, tiles, words, out_words = parameters
        with e.loop(tiles) as tile, e.loop(blocks) as block:
            half_word = (block >> 1) * WEIGHT_WORD_BYTES + (block & 1) * 2
            to = out + tile * out_words * WEIGHT_WORD_BYTES + half_word
            decided = _decide(e, inputs + block * words * INPUT_WORD_BYTES, weights, thresholds, tile, words, two_sided)
            for row, bit in enumerate(decided):
                e.store((bit < 0).cast("bitcast", e.i16), to + 4 * row)


def _decide(
    e: Emitter, inputs: Value, weights: Value, thresholds: Value, tile: Value, words: Value, two_sided: bool
) -> Iterator[Value]:
    """For each row of a tile a vector whose sign bits are the result."""
    first = thresholds + tile * (ROWS * THRESHOLD_BYTES)
    for rows in row_groups(e):
        counts = [e.variable(e.load_splat(e.i32, first + row * THRESHOLD_BYTES)) for row in rows]
        add_counts(e, "xor", inputs, weights + tile * words * WEIGHT_WORD_BYTES, words, counts, rows)
        for row, count in zip(rows, counts, strict=True):
            if two_sided:
                yield count.value | (e.load_splat(e.i32, first + (row * THRESHOLD_BYTES + 4)) - count.value)
            else:
                yield count.value
