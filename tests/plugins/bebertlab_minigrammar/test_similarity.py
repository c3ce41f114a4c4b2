from __future__ import annotations

import random

import pytest

from bebertlab_minigrammar import similarity
from bebertlab_minigrammar.similarity import Similarity

_MEANING = {word: meaning[0] for meanings in similarity._PARTS for meaning in meanings for word in meaning}


def _score(item: str, two: str) -> float:
    """Counted independently from the words."""
    parts = [[word for word in text.split() if word != "near"] for text in (item, two)]
    assert [len(part) for part in parts] == [5, 5]
    score = 0.0
    for first, second in zip(*parts, strict=True):
        if first in similarity._VAGUE or second in similarity._VAGUE:
            score += 0.5
        elif _MEANING[first] == _MEANING[second]:
            score += 1.0
    return score


@pytest.mark.parametrize("level", Similarity.levels)
def test_the_score_is_the_number_of_shared_parts(level: float) -> None:
    rng = random.Random(8)
    for _ in range(100):
        item, two = Similarity().draw(rng, level)
        assert _score(item, str(two)) == level, (item, two)


def test_scores_of_pairs_match_manual_calculation() -> None:
    assert _score("small boys find stones near shops", "little lads discover rocks near stores") == 5.0
    assert _score("small boys find stones near shops", "old women buy cups near roads") == 0.0
    assert _score("small boys find stones near shops", "small people find cups near roads") == 2.5


def test_levels_span_the_scores_of_stsb() -> None:
    assert Similarity.levels == (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
    assert Similarity.classes == ()


def test_every_word_has_one_meaning() -> None:
    words = [word for meanings in similarity._PARTS for meaning in meanings for word in meaning]
    assert len(set(words)) == len(words)
    assert not set(similarity._VAGUE) & set(words)
