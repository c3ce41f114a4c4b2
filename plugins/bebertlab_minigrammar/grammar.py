"""What a grammar is, and how it picks words."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


class Grammar(ABC):
    """Draws English-like sentences that have a wanted label, by a few rules."""

    classes: tuple[str, ...]  #: names in label order; empty for regression
    levels: tuple[float, ...]  #: the labels that are drawn equally often: 0 .. C-1, or scores for regression

    @abstractmethod
    def draw(self, rng: random.Random, level: float) -> tuple[str, str | None]:
        """A text and, in tasks of pairs, a second one, whose label is `level`; `rng` decides everything else."""


def pick(rng: random.Random, words: Sequence[T], steepness: float = 0.7) -> T:
    """One of `words`, the n-th with a chance in proportion to 1 / n^steepness, as in natural text.

    Frequent words are learned in the first hundred steps and rare ones late, so that scores grow smoothly.

    >>> rng = random.Random(0)
    >>> drawn = [pick(rng, ("often", "sometimes", "rarely")) for _ in range(1000)]
    >>> [drawn.count(word) for word in ("often", "sometimes", "rarely")]
    [490, 292, 218]
    """
    return rng.choices(words, cum_weights=_shares(len(words), steepness))[0]


@cache
def _shares(count: int, steepness: float) -> tuple[float, ...]:
    return tuple(accumulate((n + 1) ** -steepness for n in range(count)))
