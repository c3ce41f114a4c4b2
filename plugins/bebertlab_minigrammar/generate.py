"""Generating the splits of a task: balanced, with distinct texts, the same on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

import numpy as np

from bebertlab.api import Labels, Split, UserError
from bebertlab_minigrammar.grammar import Grammar

_TRIES = 2000


def generate(grammar: Grammar, sizes: Mapping[str, int], seed: int) -> dict[str, Split]:
    """Splits of the given sizes, generated in the order of `sizes`.

    Each split has a separate random stream: a larger last split keeps its first examples and changes no other split.
    `random.Random` is seeded with text, so that the hash seed of the process and the version of Python do not matter.

    Raises:
        UserError: the grammar has too few distinct texts.
    """
    seen: set[tuple[str, str | None]] = set()
    return {name: _split(grammar, name, size, f"{seed}/{name}", seen) for name, size in sizes.items()}


def flip(labels: Labels, levels: tuple[float, ...], share: float, seed: int) -> Labels:
    """The labels, each replaced by another level with probability `share`."""
    rng = random.Random(f"{seed}/noise")
    flipped = labels.copy()
    for i, label in enumerate(labels.tolist()):
        other = rng.choice([level for level in levels if level != label])
        if rng.random() < share:
            flipped[i] = other
    return flipped


def _split(grammar: Grammar, name: str, size: int, stream: str, seen: set[tuple[str, str | None]]) -> Split:
    rng = random.Random(stream)
    texts: list[str] = []
    pairs: list[str] = []
    labels: list[float] = []
    for level in _balanced(rng, grammar.levels, size):
        text, pair = _unseen(grammar, rng, level, seen)
        texts.append(text)
        labels.append(level)
        if pair is not None:
            pairs.append(pair)
    return Split(
        ids=tuple(f"{name}-{i}" for i in range(size)),
        texts=tuple(texts),
        pairs=tuple(pairs) if pairs else None,
        labels=np.array(labels, dtype=np.int64 if grammar.classes else np.float32),
    )


def _balanced(rng: random.Random, levels: tuple[float, ...], size: int) -> Iterator[float]:
    """Blocks that contain every level once, in random order."""
    for start in range(0, size, len(levels)):
        yield from rng.sample(levels, len(levels))[: size - start]


def _unseen(
    grammar: Grammar, rng: random.Random, level: float, seen: set[tuple[str, str | None]]
) -> tuple[str, str | None]:
    for _ in range(_TRIES):
        drawn = grammar.draw(rng, level)
        if drawn not in seen:
            seen.add(drawn)
            return drawn
    raise UserError(
        f"{type(grammar).__name__.lower()}: no new example after {len(seen)} distinct ones; "
        "reduce size, select_size or validation_size"
    )
