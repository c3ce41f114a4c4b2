"""Generated sentences with the lengths of SST-2: as token ids, as text, and as batches that represent an epoch."""

from __future__ import annotations

import string

import numpy as np
import torch
from attrs import evolve, frozen
from numpy.typing import NDArray

from bebertlab.bench.models import BenchConfig
from bebertlab.data.batches import BatchPlan, batches, group_in_order
from bebertlab.data.examples import Examples
from bebertlab.data.tokens import Tokens
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.task import GENERATED, SELECT, TRAIN, Answers, Metric, Split, Task
from bebertlab.training.sampler import EpochSampler

#: histogram of SST-2: training sentences with 0, 1, 2, ... tokens, of GLUE's 67,349 sentences tokenized with the
#: vocabulary of bert-base-uncased, including [CLS] and [SEP]; the mean is 13.3
# fmt: off
SENTENCES_BY_TOKENS = (
    0, 0, 0, 1978, 5322, 6065, 5345, 4749, 4155, 3713, 3267, 2947, 2650, 2413, 2138, 1950, 1777, 1661, 1515, 1373, 1285,
    1132, 1106, 1046, 909, 820, 806, 733, 692, 628, 538, 491, 442, 448, 400, 337, 304, 286, 242, 195, 203, 192, 155,
    148, 130, 89, 82, 85, 73, 55, 42, 50, 40, 36, 19, 21, 22, 15, 8, 6, 3, 2, 5, 5, 1, 2, 2,
)
# fmt: on
#: training sentences of SST-2
EPOCH_SENTENCES = sum(SENTENCES_BY_TOKENS)
#: length to which fine-tuning scripts pad SST-2
MAXIMUM_TOKENS = 64

_FIRST_WORD_ID = 1000  # in BERT's vocabulary special tokens, unused ones and characters come before it
_SPECIAL_TOKENS = 2  # [CLS] and [SEP]
_WORDS = 20_000  # approximate number of words of SST-2 that are a single token


def sentence_lengths(sentences: int, seed: int) -> NDArray[np.int64]:
    """Lengths (N,) in tokens of N sentences: evenly spaced quantiles of SST-2's lengths, shuffled with the seed.

    >>> round(float(sentence_lengths(1000, seed=0).mean()), 1)
    13.3
    """
    ranks = (np.arange(sentences) + 0.5) / sentences * EPOCH_SENTENCES
    lengths = np.searchsorted(np.cumsum(SENTENCES_BY_TOKENS), ranks, side="right").clip(max=MAXIMUM_TOKENS)
    return np.random.default_rng(seed).permutation(lengths).astype(np.int64)


def generated_examples(lengths: NDArray[np.int64], architecture: Architecture, seed: int) -> Examples:
    """Single sentences of these lengths (N,) with random token ids and random labels."""
    generator = np.random.default_rng(seed)
    total = int(lengths.sum())
    return Examples(
        tokens=Tokens(
            ids=generator.integers(_FIRST_WORD_ID, architecture.vocabulary, total, dtype=np.int32),
            segments=np.zeros(total, dtype=np.int8),
            lengths=lengths,
            offsets=np.cumsum(lengths) - lengths,
        ),
        labels=torch.from_numpy(generator.integers(architecture.classes, size=len(lengths))),
    )


def generated_batches(lengths: NDArray[np.int64], batch_size: int, config: BenchConfig) -> list[Batch]:
    """Sentences of these lengths (N,) in batches, in order, each padded to its longest sentence."""
    examples = generated_examples(lengths, config.architecture, config.seed)
    return [*batches(examples, group_in_order(np.arange(len(lengths)), batch_size), device=config.device)]


def generated_task(train: Examples, select: Examples) -> Task:
    """A task of generated examples, without texts: enough for training and scoring."""
    return Task(
        name="generated",
        classes=("no", "yes"),
        splits={TRAIN: _split(TRAIN, train), SELECT: _split(SELECT, select)},
        metrics=(Metric(name="accuracy", compute=_accuracy),),
        score="accuracy",
        caveats=(GENERATED,),
    )


def _split(name: str, examples: Examples) -> Split:
    size = len(examples)
    return Split(
        ids=tuple(f"{name}-{number}" for number in range(size)),
        texts=("",) * size,
        pairs=None,
        labels=examples.labels.numpy(),
    )


def _accuracy(answers: Answers) -> float:
    return 100.0 * float((answers.predictions == answers.labels).mean())


def text_task(sentences: int, config: BenchConfig) -> Task:
    """A task with texts of generated words, as long as those of SST-2 if every word is one token."""
    lengths = sentence_lengths(sentences, config.seed)
    examples = generated_examples(lengths, config.architecture, config.seed)
    task = generated_task(examples, examples)
    generator = np.random.default_rng(config.seed)
    numbers = generator.integers(_WORDS, size=int((lengths - _SPECIAL_TOKENS).sum())).tolist()
    words = iter([_word(number) for number in numbers])
    texts = tuple(" ".join(next(words) for _ in range(length - _SPECIAL_TOKENS)) for length in lengths.tolist())
    split: Split = evolve(task.splits[TRAIN], texts=texts)
    return evolve(task, splits={**task.splits, TRAIN: split})


def _word(number: int) -> str:
    """A different word of four lower-case letters for every number.

    >>> _word(0), _word(27)
    ('aaaa', 'aabb')
    """
    letters = string.ascii_lowercase
    return "".join(letters[number // 26**exponent % 26] for exponent in (3, 2, 1, 0))


@frozen(kw_only=True, eq=False)
class RepresentativeBatches(EpochSampler):
    """Warm-up batches, then a few batches of an epoch that are padded on average like all of them.

    An epoch of fewer sentences would have more padding: batches are cut from sentences sorted by length, and fewer
    sentences differ more in length.
    """

    warm_up: int  #: batches at the start
    steps: int  #: batches after the warm-up

    def epoch(self, phase: str, number: int, batch_size: int) -> BatchPlan:
        """Batches at evenly spaced quantiles of the padded width, in the order of the epoch."""
        plan = super().epoch(phase, number, batch_size)
        by_width = np.argsort(np.maximum.reduceat(self.lengths[plan.order], plan.bounds[:-1]), kind="stable")
        ranks = np.rint((np.arange(self.steps) + 0.5) / self.steps * len(plan) - 0.5)
        chosen = np.sort(by_width[ranks.astype(np.int64)])
        positions = [plan.order[plan.bounds[i] : plan.bounds[i + 1]] for i in (*chosen[: self.warm_up], *chosen)]
        sizes = [len(batch) for batch in positions]
        return BatchPlan(order=np.concatenate(positions), bounds=np.concatenate(([0], np.cumsum(sizes))))
