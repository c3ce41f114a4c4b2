from __future__ import annotations

import numpy as np

from bebertlab.bench.data import generated_examples, generated_task
from bebertlab.bench.shape import SHAPES

LENGTHS = np.array([5, 3, 9])


def test_examples_have_the_lengths_and_words_of_the_vocabulary() -> None:
    examples = generated_examples(LENGTHS, SHAPES["tiny"], seed=0)
    assert len(examples) == 3
    assert examples.tokens.offsets.tolist() == [0, 5, 8]
    assert len(examples.tokens.ids) == 17
    assert examples.tokens.ids.min() >= 1000
    assert examples.tokens.ids.max() < SHAPES["tiny"].vocabulary


def test_a_seed_gives_the_same_examples() -> None:
    one, same, other = (generated_examples(LENGTHS, SHAPES["tiny"], seed) for seed in (0, 0, 1))
    assert np.array_equal(one.tokens.ids, same.tokens.ids)
    assert not np.array_equal(one.tokens.ids, other.tokens.ids)


def test_the_task_can_be_scored() -> None:
    examples = generated_examples(LENGTHS, SHAPES["tiny"], seed=0)
    task = generated_task(examples, examples)
    right = np.eye(2)[examples.labels.numpy()]
    assert task.evaluate("select", right)["score"] == 100.0
    assert task.evaluate("select", 1 - right)["score"] == 0.0
