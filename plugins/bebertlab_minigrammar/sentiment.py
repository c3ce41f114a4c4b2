"""Sentiment: negation reverses a polarity, and the main clause of a contrast decides."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType

from bebertlab_minigrammar.grammar import Grammar, pick

NEGATIVE, POSITIVE = 0, 1

# pairs are (negative, positive)
_BAD = "bad boring dull weak silly awful slow tired clumsy flat cheap bland messy cold"
_GOOD = "good funny great clever warm fresh moving lively sharp honest bright tender witty bold"
_ADJECTIVES = (tuple(_BAD.split()), tuple(_GOOD.split()))
_VERBS = (("hated", "disliked", "regretted"), ("loved", "enjoyed", "admired"))
_LIKE = ("hate", "like")
_NOUNS = (("cliches", "noise", "mistakes", "boredom"), ("charm", "ideas", "energy", "surprises"))
_ASPECT_WORDS = "film plot story acting music ending script cast dialogue opening humor camera sequel"
_ASPECTS = tuple(_ASPECT_WORDS.split())
_PEOPLE = ("we", "i", "they", "critics", "children")
_DEGREES = ("very", "really", "quite", "rather")
_NEGATIONS = ("not", "never", "hardly")

# Positive for these aspects and negative for all others: 91 facts to memorize. Without them a small random BERT
# learns the whole grammar in 200 steps and scores 99 %; with them it reaches 88 % and improves slowly (measured).
_DEPENDING: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "loud": frozenset({"music", "opening", "ending", "cast", "film", "sequel"}),
        "dark": frozenset({"camera", "story", "plot", "humor", "music", "film"}),
        "simple": frozenset({"story", "dialogue", "plot", "music", "camera", "script"}),
        "strange": frozenset({"plot", "script", "sequel", "opening", "humor", "cast"}),
        "quiet": frozenset({"acting", "camera", "ending", "dialogue", "film", "humor"}),
        "wild": frozenset({"music", "cast", "ending", "acting", "humor", "sequel"}),
        "long": frozenset({"story", "dialogue", "script", "opening", "acting", "plot"}),
    }
)
_DEPENDS = 0.35
_NEGATED = 0.22  # with more, single words are not informative: the model stays at chance for hundreds of steps


class Sentiment(Grammar):
    """Remarks on a film of one or two clauses, of which the decisive one is positive or negative.

    A negation reverses its clause ("not bad", "nobody called it funny", "without charm"). "A but B" and "although A B"
    mean B, "A although B" means A, and "A and B" joins two of the same polarity. Some adjectives are positive for one
    aspect and negative for another: loud music is good, loud dialogue is not.
    """

    classes = ("negative", "positive")
    levels = (NEGATIVE, POSITIVE)

    def draw(self, rng: random.Random, level: float) -> tuple[str, str | None]:
        """A remark of polarity `level`."""
        polarity = int(level)
        form = rng.choices(("single", "but", "although", "although first", "and"), (46, 18, 10, 10, 16))[0]
        clause = _clause(rng, polarity)
        if form == "single":
            return clause, None
        if form == "and":
            return f"{clause} and {_clause(rng, polarity)}", None
        other = _clause(rng, 1 - polarity)
        if form == "but":
            return f"{other} but {clause}", None
        return (f"{clause} although {other}" if form == "although" else f"although {other} {clause}"), None


def _clause(rng: random.Random, polarity: int) -> str:
    aspect = pick(rng, _ASPECTS)
    return (_negated if rng.random() < _NEGATED else _plain)(rng, polarity, aspect)


def _plain(rng: random.Random, polarity: int, aspect: str) -> str:
    form = rng.choices(("is", "has", "verb", "noun"), (50, 20, 20, 10))[0]
    if form == "is":
        return f"the {aspect} is {_adjective(rng, polarity, aspect)}"
    if form == "has":
        return f"it has a {_adjective(rng, polarity, aspect)} {aspect}"
    if form == "verb":
        return f"{pick(rng, _PEOPLE)} {pick(rng, _VERBS[polarity])} the {aspect}"
    return f"the {aspect} is full of {pick(rng, _NOUNS[polarity])}"


def _negated(rng: random.Random, polarity: int, aspect: str) -> str:
    form = rng.choices(("is", "nobody", "verb", "noun"), (50, 20, 15, 15))[0]
    if form == "is":
        return f"the {aspect} is {pick(rng, _NEGATIONS)} {_adjective(rng, 1 - polarity, aspect)}"
    if form == "nobody":
        return f"nobody called the {aspect} {_adjective(rng, 1 - polarity, aspect)}"
    if form == "verb":
        return f"{pick(rng, _PEOPLE)} did not {_LIKE[1 - polarity]} the {aspect}"
    return f"the {aspect} is without {pick(rng, _NOUNS[1 - polarity])}"


def _adjective(rng: random.Random, polarity: int, aspect: str) -> str:
    fitting = _ADJECTIVES[polarity]
    if rng.random() < _DEPENDS:
        fitting = tuple(word for word, praised in _DEPENDING.items() if (aspect in praised) == (polarity == POSITIVE))
    degree = f"{pick(rng, _DEGREES)} " if rng.random() < 0.25 else ""
    return degree + pick(rng, fitting)
