from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from bebertlab.encoders.vocabulary import SPECIAL, vocabulary_of

TEXTS = ["The cats run.", "the dog runs", "a Dog, a cat"]


def test_special_tokens_come_first_and_ids_have_no_gaps() -> None:
    vocabulary = vocabulary_of(TEXTS, words=10)
    assert tuple(vocabulary)[:5] == SPECIAL
    assert list(vocabulary.values()) == list(range(len(vocabulary)))


def test_words_are_taken_by_frequency_then_alphabet() -> None:
    words = [token for token in vocabulary_of(TEXTS, words=4) if token.isalpha() and len(token) > 1]
    assert words == ["dog", "the", "cat", "cats"]  # 2, 2, then 1 each in alphabetical order


def test_characters_are_there_at_the_start_and_inside() -> None:
    vocabulary = vocabulary_of(["Éa b."], words=0)
    assert [*vocabulary][5:] == [".", "a", "b", "e", "##.", "##a", "##b", "##e"]


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.lists(st.text(max_size=12), max_size=6), st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_the_texts_does_not_matter(texts: list[str], words: int, shuffler: random.Random) -> None:
    shuffled = shuffler.sample(texts, len(texts))
    assert vocabulary_of(texts, words) == vocabulary_of(shuffled, words)
