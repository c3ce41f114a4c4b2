from __future__ import annotations

import itertools
import random

import pytest

from bebertlab_minigrammar import acceptability
from bebertlab_minigrammar.acceptability import Acceptability

_ANIMATE, _THINGS = acceptability._ANIMATE, acceptability._THINGS
_VERBS = (*acceptability._AUXILIARIES, *acceptability._INTRANSITIVE, *acceptability._TRANSITIVE)
_NUMBER = {
    word: number
    for forms in (*_ANIMATE, *_THINGS, *_VERBS, *acceptability._DETERMINERS)
    for number, word in enumerate(forms)
}
_NOUNS = {word for forms in (*_ANIMATE, *_THINGS) for word in forms}
_VERB_WORDS = {word for forms in _VERBS for word in forms}
_SELVES = {"himself": 0, "herself": 0, "itself": 0, "themselves": 1}
_DETERMINERS = {word for forms in acceptability._DETERMINERS for word in forms}


def _disagreements(text: str) -> int:
    """Words that disagree, by parsing the text from the left without the bookkeeping of the grammar."""
    words = [word for word in text.split() if word != "the" and word not in acceptability._ADJECTIVES]
    if words[0] in acceptability._OPENERS:
        words = words[1:]
    wrong = 0
    for determiner, noun in itertools.pairwise(words):
        if determiner in _DETERMINERS:
            wrong += _NUMBER[determiner] != _NUMBER[noun]
    words = [word for word in words if word not in _DETERMINERS]
    number = _NUMBER[words[0]]
    remaining = words[1:]
    while remaining[0] in acceptability._PREPOSITIONS:
        remaining = remaining[2:]
    if remaining[0] == "and":
        number, remaining = 1, remaining[2:]
    if remaining[0] == "who":
        if remaining[1] in _VERB_WORDS:
            wrong += _NUMBER[remaining[1]] != number
        else:
            wrong += _NUMBER[remaining[2]] != _NUMBER[remaining[1]]
        remaining = remaining[3:]
    wrong += _NUMBER[remaining[0]] != number
    if remaining[1:] and remaining[1] in _SELVES:
        wrong += _SELVES[remaining[1]] != number
    return wrong


@pytest.mark.parametrize(("level", "expected"), [(1, 0), (0, 1)])
def test_unacceptable_sentences_have_one_wrong_word(level: int, expected: int) -> None:
    rng = random.Random(3)
    for _ in range(500):
        text, pair = Acceptability().draw(rng, level)
        assert pair is None
        assert _disagreements(text) == expected, text


def test_sentences_have_a_readable_length_and_every_construction_occurs() -> None:
    rng = random.Random(4)
    texts = [Acceptability().draw(rng, i % 2)[0] for i in range(500)]
    assert {len(text.split()) for text in texts} <= set(range(4, 17))
    for mark in ("who", "and", "near", "themselves", "these", "has"):
        assert any(mark in text.split() for text in texts)


def test_attractors_of_the_other_number_precede_the_verb() -> None:
    rng = random.Random(5)
    texts = [Acceptability().draw(rng, 1)[0].split() for _ in range(500)]
    misleading = [
        words
        for words in texts
        for i, word in enumerate(words)
        if i and word in _VERB_WORDS and words[i - 1] in _NOUNS and _NUMBER[words[i - 1]] != _NUMBER[word]
    ]
    assert len(misleading) > 40


def test_reflexives_fit_the_person() -> None:
    rng = random.Random(6)
    for _ in range(2000):
        words = Acceptability().draw(rng, 1)[0].split()
        subject = next(word for word in words if word in _NOUNS)
        for gender, nouns in (("himself", {"boy", "man"}), ("herself", {"girl", "woman"}), ("itself", {"dog", "fox"})):
            if gender in words and "and" not in words:
                assert subject not in {"boy", "man", "girl", "woman", "dog", "fox"} - nouns
