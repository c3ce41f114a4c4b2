from __future__ import annotations

import random

import pytest

from bebertlab_minigrammar import sentiment
from bebertlab_minigrammar.sentiment import NEGATIVE, POSITIVE, Sentiment


def _clause(text: str) -> int:
    """Polarity of a clause, determined independently from its words."""
    words = text.split()
    aspect = next(word for word in words if word in sentiment._ASPECTS)
    polarities = [polarity for word in words if (polarity := _word(word, aspect)) is not None]
    assert len(polarities) == 1, text
    turned = any(word in ("not", "never", "hardly", "nobody", "without") for word in words)
    return 1 - polarities[0] if turned else polarities[0]


def _word(word: str, aspect: str) -> int | None:
    if word in sentiment._DEPENDING:
        return POSITIVE if aspect in sentiment._DEPENDING[word] else NEGATIVE
    for polarity in (NEGATIVE, POSITIVE):
        if word in (
            *sentiment._ADJECTIVES[polarity],
            *sentiment._VERBS[polarity],
            *sentiment._NOUNS[polarity],
            sentiment._LIKE[polarity],
        ):
            return polarity
    return None


def _remark(text: str) -> int:
    if text.startswith("although "):
        starts = ("the", "it", "nobody", *sentiment._PEOPLE)
        words = text.split()[1:]
        # the second clause begins at the last word that can begin one and is not inside the clause before
        for cut in range(len(words) - 2, 1, -1):
            if words[cut] in starts and (words[cut] != "the" or words[cut + 2 : cut + 3] == ["is"]):
                return _clause(" ".join(words[cut:]))
    if " but " in text:
        return _clause(text.split(" but ")[1])
    if " although " in text:
        return _clause(text.split(" although ")[0])
    clauses = [_clause(clause) for clause in text.split(" and ")]
    assert len(set(clauses)) == 1, text
    return clauses[0]


@pytest.mark.parametrize("polarity", [NEGATIVE, POSITIVE])
def test_the_deciding_clause_determines_the_label(polarity: int) -> None:
    rng = random.Random(2)
    for _ in range(500):
        text, pair = Sentiment().draw(rng, polarity)
        assert pair is None
        assert _remark(text) == polarity, text


def test_polarities_of_sentences_match_manual_calculation() -> None:
    assert _remark("the film is not bad") == POSITIVE
    assert _remark("the plot is good but the acting is boring") == NEGATIVE
    assert _remark("although the ending is without charm we loved the cast") == POSITIVE
    assert _remark("the music is loud although nobody called the camera loud") == POSITIVE


def test_every_construction_occurs() -> None:
    rng = random.Random(2)
    texts = " ; ".join(Sentiment().draw(rng, i % 2)[0] for i in range(500))
    for words in (" but ", " although ", "; although ", " and ", " is not ", "nobody called", "did not", "without"):
        assert words in texts


def test_each_context_dependent_adjective_is_positive_for_about_half_of_the_aspects() -> None:
    for praised in sentiment._DEPENDING.values():
        assert praised <= set(sentiment._ASPECTS)
        assert 5 <= len(praised) <= 8
