"""The base class of grammars, and how they choose words."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


class Grammar(ABC):
    """Generates English-like sentences with a given label by a few rules."""

    classes: tuple[str, ...]  #: names in label order; empty for regression
    levels: tuple[float, ...]  #: the labels, which are equally frequent: 0 .. C-1, or scores for regression

    @abstractmethod
    def draw(self, rng: random.Random, level: float) -> tuple[str, str | None]:
        """A text and, in tasks of pairs, a second one, with the label `level`; `rng` determines everything else."""


def pick(rng: random.Random, words: Sequence[T], steepness: float = 0.7) -> T:
    """One of `words`, the n-th with a probability proportional to 1 / n^steepness, as in natural text.

    Frequent words are learned in the first hundred steps and rare ones later, so that scores rise smoothly.

    >>> rng = random.Random(0)
    >>> drawn = [pick(rng, ("often", "sometimes", "rarely")) for _ in range(1000)]
    >>> [drawn.count(word) for word in ("often", "sometimes", "rarely")]
    [490, 292, 218]
    """
    return rng.choices(words, cum_weights=_shares(len(words), steepness))[0]


@cache
def _shares(count: int, steepness: float) -> tuple[float, ...]:
    return tuple(accumulate((n + 1) ** -steepness for n in range(count)))
