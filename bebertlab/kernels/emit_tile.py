"""Counts of one tile: `ROWS` rows of weights times the `TOKENS` inputs of one block.

Inputs are (words, TOKENS) of 32-bit words for each plane, weights (words, ROWS): both are read front to back. Counts
are 32-bit integers with a lane for each token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from bebertlab.kernels.emit import ROWS, TOKENS, Emitter, Value, Variable

Combination = Literal["xor", "and"]

INPUT_WORD_BYTES = 4 * TOKENS  #: of one word of all tokens of a block
WEIGHT_WORD_BYTES = 4 * ROWS  #: of one word of all rows of a tile
_UNROLLED = 2  #: words of one step; rows are padded to 64 bits
_BYTE_WORDS = 30  #: words whose bits fit into counters of a byte: at most 8 in each byte of a word


def row_groups(e: Emitter) -> Iterator[range]:
    """The rows of a tile, in groups whose counts fit into registers together."""
    for first in range(0, ROWS, e.tile_rows):
        yield range(first, first + e.tile_rows)


def add_counts(
    e: Emitter,
    combination: Combination,
    inputs: Value,
    weights: Value,
    words: Value,
    counts: Sequence[Variable],
    rows: range,
    *,
    input_word_bytes: int | Value = INPUT_WORD_BYTES,
    weight_word_bytes: int | Value = WEIGHT_WORD_BYTES,
    unrolled: int = _UNROLLED,
) -> None:
    """Add the numbers of set bits of `inputs xor weights`, or `and`, over all words to the counts of some rows.

    The number of words is a multiple of `unrolled`, which are the words of one step.
    """

    def add(first: Value, steps: Value, counters: Sequence[Variable], count: Callable[[Value], Value]) -> None:
        start, weight_start = inputs + first * input_word_bytes, weights + first * weight_word_bytes
        with e.loop(steps) as step:
            for word in range(unrolled):
                at = step * unrolled + word
                tokens = e.load(e.words, start + at * input_word_bytes)
                for row, counter in zip(rows, counters, strict=True):
                    weight = e.load_splat(e.i32, weight_start + at * weight_word_bytes + 4 * row)
                    combined = tokens ^ weight if combination == "xor" else tokens & weight
                    counter.value = counter.value + count(combined)

    if e.native_popcount:
        add(e.number(e.i64, 0), words.divide(unrolled), counts, Value.popcount)
        return
    bytes_ = e.vector(e.i8, 4 * TOKENS)
    with e.loop((words + (_BYTE_WORDS - 1)).divide(_BYTE_WORDS)) as part:
        first = part * _BYTE_WORDS
        steps = (words - first).minimum(e.number(e.i64, _BYTE_WORDS)).divide(unrolled)
        counters = e.variables(e.number(bytes_, 0), len(rows))
        add(first, steps, counters, lambda combined: combined.cast("bitcast", bytes_).popcount())
        for counter, total in zip(counters, counts, strict=True):
            total.value = total.value + _sum_bytes(counter.value.cast("bitcast", e.words))


def _sum_bytes(word: Value) -> Value:
    pairs = (word & 0x00FF00FF) + ((word >> 8) & 0x00FF00FF)
    return (pairs & 0xFFFF) + (pairs >> 16)


def add_plane_counts(
    e: Emitter,
    inputs: Value,
    weights: Value,
    words: Value,
    planes: tuple[Value, Value],
    counts: Sequence[Variable],
    rows: range,
) -> None:
    """Set counts to the sum of `2^(a+b) popcount(inputs[a] and weights[b])` over the planes a of inputs, b of weights.

    By Horner's rule, from the highest power down: counts are doubled between powers, so that the number of planes is
    no matter of registers.
    """
    input_planes, weight_planes = planes
    zero, one = e.number(e.i64, 0), e.number(e.i64, 1)
    with e.loop(input_planes + weight_planes - 1) as step:
        power = input_planes + weight_planes - 2 - step
        for count in counts:
            count.value = count.value << 1
        lowest = (power - weight_planes + 1).maximum(zero)
        highest = (input_planes - one).minimum(power)
        with e.loop(highest - lowest + 1) as offset:
            plane = lowest + offset
            add_counts(
                e,
                "and",
                inputs + plane * words * INPUT_WORD_BYTES,
                weights + (power - plane) * words * WEIGHT_WORD_BYTES,
                words,
                counts,
                rows,
            )


@contextmanager
def grouped_blocks(e: Emitter, blocks: Value, tiles: Value, size: int) -> Iterator[tuple[Value, Value]]:
    """Every pair of a block and a tile: weights of `size` tiles stay in the cache while all blocks pass."""
    with e.loop((tiles + (size - 1)).divide(size)) as group:
        first = group * size
        with e.loop(blocks) as block, e.loop((tiles - first).minimum(e.number(e.i64, size))) as offset:
            yield block, first + offset
