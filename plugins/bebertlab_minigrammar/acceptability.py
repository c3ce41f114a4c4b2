"""Acceptability: agreement in number, across intervening phrases."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from attrs import define

from bebertlab_minigrammar.grammar import Grammar, pick

Forms: TypeAlias = tuple[str, str]  # singular, plural

# With as many plurals as singulars no single word is informative, and a small random BERT stays at chance for
# thousands of steps (measured); with fewer plurals it leaves the plateau within 100.
_PLURAL = 0.3

_ANIMATE: tuple[Forms, ...] = (
    ("dog", "dogs"),
    ("boy", "boys"),
    ("cat", "cats"),
    ("girl", "girls"),
    ("horse", "horses"),
    ("teacher", "teachers"),
    ("bird", "birds"),
    ("woman", "women"),
    ("man", "men"),
    ("fox", "foxes"),
    ("child", "children"),
    ("mouse", "mice"),
    ("farmer", "farmers"),
    ("doctor", "doctors"),
    ("goose", "geese"),
    ("sailor", "sailors"),
)
_THINGS: tuple[Forms, ...] = (
    ("house", "houses"),
    ("tree", "trees"),
    ("table", "tables"),
    ("boat", "boats"),
    ("river", "rivers"),
    ("garden", "gardens"),
    ("wagon", "wagons"),
    ("bridge", "bridges"),
)
_DETERMINERS: tuple[Forms, ...] = (
    ("this", "these"),
    ("that", "those"),
    ("every", "many"),
    ("a", "two"),
    ("each", "several"),
)
_AUXILIARIES: tuple[Forms, ...] = (("is", "are"), ("has", "have"), ("was", "were"))
_INTRANSITIVE: tuple[Forms, ...] = (
    ("sleeps", "sleep"),
    ("runs", "run"),
    ("sings", "sing"),
    ("smiles", "smile"),
    ("waits", "wait"),
    ("falls", "fall"),
    ("swims", "swim"),
    ("laughs", "laugh"),
)
_TRANSITIVE: tuple[Forms, ...] = (
    ("sees", "see"),
    ("likes", "like"),
    ("follows", "follow"),
    ("helps", "help"),
    ("watches", "watch"),
    ("chases", "chase"),
    ("fears", "fear"),
    ("finds", "find"),
)
_REFLEXIVES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("boy", "man", "farmer", "sailor"), "himself"),
        **dict.fromkeys(("girl", "woman", "teacher", "doctor"), "herself"),
    }
)
_PARTICIPLES = ("slept", "fallen", "waited", "laughed", "swum")
_STATES = ("sleeping", "small", "running", "old", "singing", "young", "tired", "waiting", "happy", "brave", "quiet")
_ADJECTIVES = ("small", "old", "young", "tired", "happy", "brave", "quiet", "clever", "hungry", "angry")
_PREPOSITIONS = ("near", "behind", "beside", "with", "above")
_ADVERBS = ("today", "often", "here", "slowly", "again", "quietly", "there")
_OPENERS = ("today", "often", "now")


@define
class _Agreeing:
    """A word that agrees with a noun; changing its number makes the sentence unacceptable."""

    forms: Forms
    number: int  #: 0 singular, 1 plural
    weight: float  #: relative frequency of changing this word

    def __str__(self) -> str:
        return self.forms[self.number]


_Words: TypeAlias = "list[str | _Agreeing]"


class Acceptability(Grammar):
    """Sentences whose verbs, determiners and reflexives agree with their nouns, except exactly one in half of them.

    Prepositional phrases and relative clauses with nouns of either number separate a subject from its verb.
    """

    classes = ("unacceptable", "acceptable")
    levels = (0, 1)

    def draw(self, rng: random.Random, level: float) -> tuple[str, str | None]:
        """A sentence; at level 0 one of its agreeing words has the wrong number."""
        words = _sentence(rng)
        while not 4 <= len(words) <= 16:
            words = _sentence(rng)
        if level == 0:
            agreeing = [word for word in words if isinstance(word, _Agreeing)]
            wrong = rng.choices(agreeing, [word.weight for word in agreeing])[0]
            wrong.number = 1 - wrong.number
        return " ".join(map(str, words)), None


def _sentence(rng: random.Random) -> _Words:
    opener: _Words = [pick(rng, _OPENERS)] if rng.random() < 0.15 else []
    noun, number = pick(rng, _ANIMATE), _number(rng)
    kind = rng.choices(
        ("bare", "phrase", "phrases", "subject clause", "object clause", "and"), (32, 26, 10, 15, 13, 4)
    )[0]
    subject = _phrase(rng, noun, number)
    if kind in ("phrase", "phrases"):
        for _ in range(1 if kind == "phrase" else 2):
            subject += [pick(rng, _PREPOSITIONS), *_any(rng, _THINGS + _ANIMATE[:4])]
    elif kind == "subject clause":
        subject += ["who", _Agreeing(pick(rng, _TRANSITIVE), number, 1.5), *_any(rng)]
    elif kind == "object clause":
        other = _number(rng)
        subject += ["who", *_phrase(rng, pick(rng, _ANIMATE), other), _Agreeing(pick(rng, _TRANSITIVE), other, 1.5)]
    elif kind == "and":
        subject += ["and", *_any(rng)]
        number = 1
    return opener + subject + _predicate(rng, noun, number)


def _number(rng: random.Random) -> int:
    return int(rng.random() < _PLURAL)


def _phrase(rng: random.Random, noun: Forms, number: int) -> _Words:
    words: _Words = [_Agreeing(pick(rng, _DETERMINERS), number, 0.6) if rng.random() < 0.4 else "the"]
    if rng.random() < 0.25:
        words.append(pick(rng, _ADJECTIVES))
    return [*words, noun[number]]


def _any(rng: random.Random, nouns: tuple[Forms, ...] = _ANIMATE) -> _Words:
    """A noun phrase of either number."""
    return _phrase(rng, pick(rng, nouns), _number(rng))


def _predicate(rng: random.Random, subject: Forms, number: int) -> _Words:
    draw = rng.random()
    if draw < 0.5:
        auxiliary = pick(rng, _AUXILIARIES)
        complement = pick(rng, _PARTICIPLES if auxiliary[0] == "has" else _STATES)
        return [_Agreeing(auxiliary, number, 3.0), complement]
    if draw < 0.75:
        adverb: _Words = [pick(rng, _ADVERBS)] if rng.random() < 0.6 else []
        return [_Agreeing(pick(rng, _INTRANSITIVE), number, 3.0), *adverb]
    verb = _Agreeing(pick(rng, _TRANSITIVE), number, 3.0)
    if draw < 0.9:
        return [verb, *_any(rng)]
    return [verb, _Agreeing((_REFLEXIVES.get(subject[0], "itself"), "themselves"), number, 2.0)]
