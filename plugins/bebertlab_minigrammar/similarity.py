"""Similarity: the number of parts that two short descriptions share, 0 to 5."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeAlias

from bebertlab_minigrammar.grammar import Grammar, pick

Meaning: TypeAlias = tuple[str, str]  # two synonyms

_LOOKS: tuple[Meaning, ...] = (
    ("small", "little"),
    ("happy", "glad"),
    ("old", "aged"),
    ("angry", "furious"),
    ("quick", "fast"),
    ("quiet", "silent"),
)
_AGENTS: tuple[Meaning, ...] = (
    ("boys", "lads"),
    ("women", "ladies"),
    ("doctors", "physicians"),
    ("thieves", "robbers"),
    ("sailors", "seamen"),
    ("dogs", "hounds"),
    ("rabbits", "bunnies"),
)
_ACTS: tuple[Meaning, ...] = (
    ("find", "discover"),
    ("carry", "transport"),
    ("buy", "purchase"),
    ("fix", "repair"),
    ("throw", "toss"),
    ("watch", "observe"),
)
_THINGS: tuple[Meaning, ...] = (
    ("stones", "rocks"),
    ("coats", "jackets"),
    ("pictures", "images"),
    ("cups", "mugs"),
    ("presents", "gifts"),
    ("sofas", "couches"),
    ("ropes", "cords"),
)
_PLACES: tuple[Meaning, ...] = (
    ("streets", "roads"),
    ("forests", "woods"),
    ("houses", "homes"),
    ("shops", "stores"),
    ("shores", "coasts"),
    ("gardens", "yards"),
)
_PARTS = (_LOOKS, _AGENTS, _ACTS, _THINGS, _PLACES)
_VAGUE = ("certain", "people", "have", "things", "places")

# The first sentence prefers some meanings, the different parts of the second do not: single words are then slightly
# informative, and a small random BERT starts to learn at once instead of after a thousand steps (measured).
_STEEPNESS = 1.6
_SYNONYM = 0.2


class Similarity(Grammar):
    """Pairs "LOOK AGENT ACT THING near PLACE"; the score is the number of parts that mean the same, 0 to 5.

    A part that is vague in one of the sentences counts as half.
    """

    classes = ()
    levels = tuple(halves / 2 for halves in range(11))

    def draw(self, rng: random.Random, level: float) -> tuple[str, str | None]:
        """Two descriptions whose score is `level`, a multiple of 0.5."""
        shared, half = divmod(round(2 * level), 2)
        parts = rng.sample(range(len(_PARTS)), len(_PARTS))
        first = [pick(rng, meanings, _STEEPNESS) for meanings in _PARTS]
        second = list(first)
        for part in parts[shared:]:
            second[part] = rng.choice([meaning for meaning in _PARTS[part] if meaning != first[part]])
        sentences = [[_word(rng, meaning) for meaning in meanings] for meanings in (first, second)]
        if half:
            rng.choice(sentences)[parts[shared]] = _VAGUE[parts[shared]]
        return _sentence(sentences[0]), _sentence(sentences[1])


def _word(rng: random.Random, meaning: Meaning) -> str:
    return meaning[rng.random() < _SYNONYM]


def _sentence(words: Sequence[str]) -> str:
    return " ".join([*words[:4], "near", words[4]])
