"""Generated sentences as text, for what comes before the token numbers."""

from __future__ import annotations

import string

import numpy as np
from attrs import evolve

from bebertlab.bench.data import generated_examples, generated_task
from bebertlab.bench.lengths import sentence_lengths
from bebertlab.bench.setting import Setting
from bebertlab.interfaces.task import TRAIN, Split, Task

_SPECIAL = 2  # [CLS] and [SEP]
_WORDS = 20_000  # about the words of SST-2 with a token of their own


def text_task(sentences: int, setting: Setting) -> Task:
    """Sentences of made-up words, with the lengths of SST-2 where every word is one token."""
    lengths = sentence_lengths(sentences, setting.seed)
    task = generated_task(*[generated_examples(lengths, setting.sizes, setting.seed)] * 2)
    generator = np.random.default_rng(setting.seed)
    numbers = generator.integers(_WORDS, size=int((lengths - _SPECIAL).sum())).tolist()
    words = iter([_word(number) for number in numbers])
    texts = tuple(" ".join(next(words) for _ in range(length - _SPECIAL)) for length in lengths.tolist())
    split: Split = evolve(task.splits[TRAIN], texts=texts)
    return evolve(task, splits={**task.splits, TRAIN: split})


def _word(number: int) -> str:
    """A word of lower-case letters, a different one for every number.

    >>> _word(0), _word(27)
    ('aaaa', 'aabb')
    """
    letters = string.ascii_lowercase
    return "".join(letters[number // 26**place % 26] for place in (3, 2, 1, 0))
