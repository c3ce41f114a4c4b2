"""Sentences that lie one after the other: which are computed together, and what their queries see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Self

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.kernels.emit import TOKENS, WORD
from bebertlab.kernels.layout import block_count


@frozen(eq=False)
class Queries:
    """Tokens whose states a layer computes, and the keys that each may see: those of its own sentence."""

    numbers: NDArray[np.int64]  #: of the tokens
    visible: NDArray[np.uint32]  #: (blocks, key words, TOKENS): bits over keys; zeros for queries that a block lacks
    ranges: NDArray[np.int64]  #: (blocks, 2): the first key word that a query of the block sees, and the end
    starts: NDArray[np.int64]  #: (blocks * TOKENS,): the first key that a query sees; 0 for those that a block lacks
    spans: NDArray[np.int64]  #: (sentences, 4): the first key of a sentence, the end, its first query, the end

    @property
    def blocks(self) -> int:
        """Blocks of queries."""
        return len(self.visible)

    @classmethod
    def of(cls, lengths: Sequence[int], numbers: NDArray[np.int64], counts: Sequence[int]) -> Self:
        """Of tokens in their order, of which each sentence has some."""
        ends = np.cumsum(lengths)
        sentence = np.searchsorted(ends, numbers, side="right")
        first, end = ends[sentence] - np.asarray(lengths)[sentence], ends[sentence]
        blocks, key_words = block_count(len(numbers)), -(-int(ends[-1]) // WORD)
        words = np.zeros((blocks * TOKENS, key_words), np.uint32)
        words[: len(numbers)] = _bits_below(end, key_words) & ~_bits_below(first, key_words)
        block_starts = np.arange(0, len(numbers), TOKENS)
        ranges = [np.minimum.reduceat(first // WORD, block_starts), np.maximum.reduceat(-(-end // WORD), block_starts)]
        query_ends = np.cumsum(counts)
        spans = np.stack([ends - lengths, ends, query_ends - counts, query_ends], 1)
        return cls(
            numbers=numbers,
            visible=np.ascontiguousarray(words.reshape(blocks, TOKENS, key_words).transpose(0, 2, 1)),
            ranges=np.stack(ranges, 1).astype(np.int64),
            starts=np.pad(first.astype(np.int64), (0, blocks * TOKENS - len(numbers))),
            spans=spans.astype(np.int64),
        )


@lru_cache(maxsize=64)  # a single sentence is often as long as one before
def sentence_queries(lengths: tuple[int, ...]) -> tuple[Queries, Queries]:
    """All tokens, and the first tokens, of sentences that lie one after the other."""
    ends = np.cumsum(lengths, dtype=np.int64)
    every = Queries.of(lengths, np.arange(ends[-1]), lengths)
    return every, Queries.of(lengths, ends - lengths, [1] * len(lengths))


def chunks(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Sentences that are computed together; one alone may have more tokens.

    >>> list(chunks([3, 2, 4, 1], 5))
    [[3, 2], [4, 1]]
    """
    chunk: list[int] = []
    for length in map(int, lengths):
        if chunk and sum(chunk) + length > most_tokens:
            yield chunk
            chunk = []
        chunk.append(length)
    if chunk:
        yield chunk


def _bits_below(limits: NDArray[np.integer], words: int) -> NDArray[np.uint32]:
    """Words whose bits, counted through all words, are set below a limit, (limits, words)."""
    used = np.clip(limits[:, None] - WORD * np.arange(words), 0, WORD).astype(np.uint64)
    bits: NDArray[np.uint64] = (np.uint64(1) << used) - np.uint64(1)
    return bits.astype(np.uint32)
