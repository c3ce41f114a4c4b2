"""Generated examples: token numbers drawn from a seed, no text behind them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bebertlab.data.examples import Examples
from bebertlab.data.tokens import Tokens
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.task import SELECT, TRAIN, Labels, Split, Task

_FIRST_WORD = 1000  # of BERT's vocabulary: below are special tokens, unused ones and characters


def generated_examples(lengths: NDArray[np.int64], sizes: Architecture, seed: int) -> Examples:
    """Examples of these lengths, single sentences with drawn labels."""
    generator = np.random.default_rng(seed)
    total = int(lengths.sum())
    return Examples(
        tokens=Tokens(
            ids=generator.integers(_FIRST_WORD, sizes.vocabulary, total, dtype=np.int32),
            segments=np.zeros(total, dtype=np.int8),
            lengths=lengths,
            offsets=np.cumsum(lengths) - lengths,
        ),
        labels=torch.from_numpy(generator.integers(sizes.classes, size=len(lengths))),
    )


def generated_task(train: Examples, select: Examples) -> Task:
    """The task of generated examples, as far as training asks for it."""
    return Task(
        name="generated",
        classes=("no", "yes"),
        splits={TRAIN: _split(TRAIN, train), SELECT: _split(SELECT, select)},
        metrics=_accuracy,
        score="accuracy",
        generated=True,
    )


def _split(name: str, examples: Examples) -> Split:
    size = len(examples)
    return Split(
        ids=tuple(f"{name}-{number}" for number in range(size)),
        texts=("",) * size,
        pairs=None,
        labels=examples.labels.numpy(),
    )


def _accuracy(predictions: Labels, labels: Labels) -> dict[str, float]:
    return {"accuracy": 100.0 * float((predictions == labels).mean())}
