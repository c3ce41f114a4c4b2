from __future__ import annotations

import random

import numpy as np
import pytest

from bebertlab.api import UserError
from bebertlab_minigrammar.generate import flip, generate
from bebertlab_minigrammar.grammar import Grammar
from bebertlab_minigrammar.sentiment import Sentiment
from bebertlab_minigrammar.similarity import Similarity


class _Counting(Grammar):
    """A grammar of twelve texts."""

    classes = ("even", "odd")
    levels = (0, 1)

    def draw(self, rng: random.Random, level: float) -> tuple[str, str | None]:
        return str(2 * rng.randrange(6) + int(level)), None


def test_labels_are_balanced_in_every_segment() -> None:
    labels = generate(Sentiment(), {"train": 41}, 0)["train"].labels
    assert labels.dtype == np.int64
    assert [int(labels[:n].sum()) for n in (10, 20, 40)] == [5, 10, 20]
    scores = generate(Similarity(), {"train": 33}, 0)["train"].labels
    assert scores.dtype == np.float32
    assert sorted(scores.tolist()) == sorted(3 * Similarity.levels)


def test_no_text_is_drawn_twice() -> None:
    splits = generate(_Counting(), {"validation": 4, "train": 8}, 0)
    texts = [text for split in splits.values() for text in split.texts]
    assert sorted(map(int, texts)) == list(range(12))
    assert [int(text) % 2 for text in texts] == [label for split in splits.values() for label in split.labels]


def test_a_grammar_without_more_texts_is_an_error() -> None:
    with pytest.raises(UserError, match=r"_counting: no new example after 12 distinct ones; reduce size, "):
        generate(_Counting(), {"train": 14}, 0)


def test_a_larger_split_starts_with_the_smaller_one_and_leaves_the_others_unchanged() -> None:
    small = generate(Sentiment(), {"validation": 30, "train": 20}, 7)
    large = generate(Sentiment(), {"validation": 30, "train": 60}, 7)
    assert large["train"].texts[:20] == small["train"].texts
    assert large["validation"].texts == small["validation"].texts
    assert generate(Sentiment(), {"train": 20}, 8)["train"].texts != small["train"].texts


def test_noise_replaces_labels_with_others() -> None:
    labels = np.arange(2000) % 3
    noisy = flip(labels, (0, 1, 2), 0.2, seed=1)
    assert 0.16 < float((noisy != labels).mean()) < 0.24
    assert set(noisy.tolist()) == {0, 1, 2}
    assert noisy.dtype == labels.dtype
    assert (flip(labels, (0, 1, 2), 0.2, seed=1) == noisy).all()
    assert (flip(labels[:50], (0, 1, 2), 0.2, seed=1) == noisy[:50]).all()
    assert (flip(labels, (0, 1, 2), 0.4, seed=1) != labels).mean() > 0.35
