"""Entailment: quantified sentences about wider and narrower sets, in three classes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from attrs import frozen

from bebertlab_minigrammar.grammar import Grammar, pick


class Quantifier(StrEnum):
    """How many elements of a set a sentence is about."""

    ALL = "all"
    SOME = "some"
    NO = "no"


class Relation(StrEnum):
    """How the set of the hypothesis relates to that of the premise."""

    SAME = "same"
    WIDER = "wider"
    NARROWER = "narrower"
    OTHER = "other"  #: unrelated


CONTRADICTION, ENTAILMENT, NEUTRAL = 0, 1, 2

# kinds and their members
_THINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "animals": ("dogs", "cats", "birds", "horses", "frogs", "sheep"),
        "people": ("children", "teachers", "farmers", "sailors", "doctors", "singers"),
        "plants": ("roses", "trees", "herbs", "ferns"),
        "machines": ("robots", "engines", "clocks", "drones"),
    }
)
_ACTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "move": ("run", "swim", "fall", "turn", "dance"),
        "shine": ("glow", "sparkle", "glitter"),
        "speak": ("whisper", "shout", "sing"),
        "work": ("dig", "cut", "build"),
    }
)
_ADJECTIVES = ("small", "old", "red", "wild", "young", "quiet", "clean", "heavy")
_ADVERBS = ("today", "often", "slowly", "outside", "together", "early")

# Frequencies in percent. With equally frequent quantifiers, and both sets changed together, a small random BERT learns
# only the quantifiers (64 %); with these it learns more within 200 steps (measured).
_PREMISE = (60, 25, 15)
_HYPOTHESIS = (50, 30, 20)
_CHANGED = {"things": 40, "acts": 35, "both": 10, "none": 15}
_CHANGE = {Relation.WIDER: 44, Relation.NARROWER: 44, Relation.OTHER: 12}
_TO_KIND = 0.12
_MODIFIED = 0.1


@frozen
class _Set:
    """Things or acts, given by a word and an optional modifier."""

    word: str
    modifier: str | None = None

    def phrase(self, *, before: bool) -> str:
        words = (self.modifier, self.word) if before else (self.word, self.modifier)
        return " ".join(filter(None, words))


class Entailment(Grammar):
    """Pairs "all | some | no A B": given the first sentence, the second is false, true or undetermined.

    A set is widened to its kind or by omitting a modifier, and vice versa. No set is empty, so that
    "all A B" entails "some A B". Classes in the order of the papers' code.
    """

    classes = ("contradiction", "entailment", "neutral")
    levels = (CONTRADICTION, ENTAILMENT, NEUTRAL)

    def draw(self, rng: random.Random, level: float) -> tuple[str, str | None]:
        """A premise and a hypothesis of class `level`."""
        while True:
            premise = rng.choices(tuple(Quantifier), _PREMISE)[0]
            hypothesis = rng.choices(tuple(Quantifier), _HYPOTHESIS)[0]
            things, acts = _relations(rng)
            if classify(premise, hypothesis, things, acts) == level:
                break
        who, whom = _related(rng, _THINGS, _ADJECTIVES, things)
        does, do = _related(rng, _ACTS, _ADVERBS, acts)
        return (
            f"{premise} {who.phrase(before=True)} {does.phrase(before=False)}",
            f"{hypothesis} {whom.phrase(before=True)} {do.phrase(before=False)}",
        )


def classify(premise: Quantifier, hypothesis: Quantifier, things: Relation, acts: Relation) -> int:
    """The class of "`hypothesis` A' B'" given "`premise` A B", where A' is `things` than A and B' is `acts` than B.

    >>> classify(Quantifier.ALL, Quantifier.SOME, Relation.NARROWER, Relation.WIDER)  # dogs run: small dogs move
    1
    """
    wider, narrower = (Relation.SAME, Relation.WIDER), (Relation.SAME, Relation.NARROWER)
    if premise == Quantifier.NO:
        if hypothesis == Quantifier.ALL:
            # some element of A' is in A, and it would have to be in B
            return CONTRADICTION if things != Relation.OTHER and acts in narrower else NEUTRAL
        if things in narrower and acts in narrower:
            return ENTAILMENT if hypothesis == Quantifier.NO else CONTRADICTION
        return NEUTRAL
    # "all" holds for wider and narrower sets that share an element, "some" for wider ones only
    shared = things in wider or (premise == Quantifier.ALL and things == Relation.NARROWER)
    if acts not in wider or not shared:
        return NEUTRAL
    if hypothesis == Quantifier.NO:
        return CONTRADICTION
    if hypothesis == Quantifier.SOME:
        return ENTAILMENT
    return ENTAILMENT if premise == Quantifier.ALL and things in narrower else NEUTRAL


def _relations(rng: random.Random) -> tuple[Relation, Relation]:
    """The relations of the things and of the acts."""
    changed = rng.choices(tuple(_CHANGED), tuple(_CHANGED.values()))[0]
    things, acts = rng.choices(tuple(_CHANGE), tuple(_CHANGE.values()), k=2)
    return (
        things if changed in ("things", "both") else Relation.SAME,
        acts if changed in ("acts", "both") else Relation.SAME,
    )


def _related(
    rng: random.Random, kinds: Mapping[str, tuple[str, ...]], modifiers: tuple[str, ...], relation: Relation
) -> tuple[_Set, _Set]:
    """The set of the premise and that of the hypothesis."""
    if relation == Relation.NARROWER:
        narrow, wide = _related(rng, kinds, modifiers, Relation.WIDER)
        return wide, narrow
    kind = pick(rng, tuple(kinds))
    word = pick(rng, kinds[kind])
    modifier = pick(rng, modifiers)
    plain = _Set(word, modifier if rng.random() < _MODIFIED else None)
    if relation == Relation.SAME:
        same = plain if rng.random() < 0.85 else _Set(kind)
        return same, same
    if relation == Relation.OTHER:
        return plain, _Set(pick(rng, [w for words in kinds.values() for w in words if w != word]))
    return (plain, _Set(kind)) if rng.random() < _TO_KIND else (_Set(word, modifier), _Set(word))
