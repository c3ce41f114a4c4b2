from __future__ import annotations

import random
from itertools import product

import pytest

from bebertlab_minigrammar import entailment
from bebertlab_minigrammar.entailment import (
    CONTRADICTION,
    ENTAILMENT,
    NEUTRAL,
    Entailment,
    Quantifier,
    Relation,
    classify,
)

_SETS = range(1, 1 << 4)  # all sets with members among four things, as bits


def _is_true(quantifier: Quantifier, things: int, acts: int) -> bool:
    if quantifier == Quantifier.ALL:
        return things & ~acts == 0
    return (things & acts != 0) == (quantifier == Quantifier.SOME)


def _implies(relation: Relation, first: int, second: int) -> bool:
    return {
        Relation.SAME: first == second,
        Relation.WIDER: first & ~second == 0,
        Relation.NARROWER: second & ~first == 0,
        Relation.OTHER: True,
    }[relation]


@pytest.mark.parametrize("premise", Quantifier)
@pytest.mark.parametrize("things", Relation)
def test_the_class_is_true_in_every_world_of_four_things(premise: Quantifier, things: Relation) -> None:
    worlds = [
        (first, second, does) for first, second in product(_SETS, _SETS) if _implies(things, first, second)
        for does in _SETS if _is_true(premise, first, does)
    ]  # fmt: skip
    for hypothesis, acts in product(Quantifier, Relation):
        seen = {
            _is_true(hypothesis, second, do) for _, second, does in worlds for do in _SETS if _implies(acts, does, do)
        }
        expected = NEUTRAL if len(seen) == 2 else ENTAILMENT if seen == {True} else CONTRADICTION
        assert classify(premise, hypothesis, things, acts) == expected


def _relation(first: str, second: str, kinds: dict[str, tuple[str, ...]], modifiers: tuple[str, ...]) -> Relation:
    """Determined independently from the words."""
    if first == second:
        return Relation.SAME
    heads = [next(word for word in text.split() if word not in modifiers) for text in (first, second)]
    if heads[0] == heads[1]:
        return Relation.WIDER if len(second.split()) < len(first.split()) else Relation.NARROWER
    if heads[0] in kinds.get(heads[1], ()):
        return Relation.WIDER
    return Relation.NARROWER if heads[1] in kinds.get(heads[0], ()) else Relation.OTHER


@pytest.mark.parametrize("level", [CONTRADICTION, ENTAILMENT, NEUTRAL])
def test_verbs_and_quantifiers_match_the_class(level: int) -> None:
    rng = random.Random(6)
    things = dict(entailment._THINGS)
    for _ in range(300):
        sides = [text or "" for text in Entailment().draw(rng, level)]
        quantifiers = [Quantifier(text.split()[0]) for text in sides]
        cuts = [2 + (text.split()[1] in entailment._ADJECTIVES) for text in sides]
        nouns = [" ".join(text.split()[1:cut]) for text, cut in zip(sides, cuts, strict=True)]
        verbs = [" ".join(text.split()[cut:]) for text, cut in zip(sides, cuts, strict=True)]
        who = _relation(nouns[0], nouns[1], things, entailment._ADJECTIVES)
        does = _relation(verbs[0], verbs[1], dict(entailment._ACTS), entailment._ADVERBS)
        assert classify(quantifiers[0], quantifiers[1], who, does) == level, sides


def test_no_word_belongs_to_two_categories() -> None:
    for kinds in (entailment._THINGS, entailment._ACTS):
        words = [*kinds, *(word for members in kinds.values() for word in members)]
        assert len(set(words)) == len(words)


def test_the_classes_are_in_the_order_of_the_papers() -> None:
    assert Entailment.classes == ("contradiction", "entailment", "neutral")
