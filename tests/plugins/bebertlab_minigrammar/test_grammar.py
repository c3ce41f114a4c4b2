from __future__ import annotations

import random

from bebertlab_minigrammar.grammar import pick


def test_frequent_words_come_first_and_a_steeper_distribution_prefers_them() -> None:
    rng = random.Random(1)
    words = ("a", "b", "c", "d")
    flat = [pick(rng, words) for _ in range(4000)]
    steep = [pick(rng, words, 2.0) for _ in range(4000)]
    counts = [flat.count(word) for word in words]
    assert counts == sorted(counts, reverse=True)
    weights = [(n + 1) ** -0.7 for n in range(4)]
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count / 4000 - weight / sum(weights)) < 0.03
    assert steep.count("a") > flat.count("a") + 500
