from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bebertlab.interfaces.task import TRAIN
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("regression", [False, True])
def test_a_tiny_task_is_complete(regression: bool, pairs: bool) -> None:
    task = tiny_task(regression=regression, pairs=pairs)
    train = task.splits[TRAIN]
    assert (train.pairs is not None) == pairs
    assert len(train) == len(train.texts) == len(train.labels) == 96
    assert (task.outputs == 1) == regression
    ids = [example for split in task.splits.values() for example in split.ids]
    assert len(ids) == len(set(ids))
    perfect = train.labels[:, None] if regression else np.eye(2)[train.labels]
    assert task.evaluate(TRAIN, perfect)["score"] == (0.0 if regression else 100.0)


def test_labels_follow_from_the_text() -> None:
    for text, label in zip(tiny_task().splits[TRAIN].texts, tiny_task().splits[TRAIN].labels, strict=True):
        praise = sum(text.split().count(word) for word in ("good", "great", "fine", "nice"))
        blame = sum(text.split().count(word) for word in ("bad", "awful", "poor", "weak"))
        assert label == (praise > blame)


def test_the_tokenizer_contains_every_word(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tiny_tokenizer(tmp_path) / "tokenizer.json"))
    for text in tiny_task().splits[TRAIN].texts:
        assert "[UNK]" not in tokenizer.encode(text).tokens
    assert tokenizer.get_vocab_size() == tiny_model(tiny_task()).architecture.vocabulary


def test_models_depend_on_their_seed() -> None:
    weights = [tiny_model(tiny_task(), seed=seed).classifier.weight for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
