"""How long a packed model takes for a text."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

from bebertlab.data.batches import batches, group_in_order
from bebertlab.data.examples import Examples
from bebertlab.inference.devices import torch_threads
from bebertlab.packed.model import PackedModel

TEXTS = 32  #: that are timed; of a split, evenly spread over its lengths
REPEATS = 5  #: of all texts, after one that is not timed


def sentence_milliseconds(
    model: PackedModel, examples: Examples, *, clock: Callable[[], float] = perf_counter
) -> float:
    """Milliseconds from the tokens of one text to its logits, on one thread: the median over repeats.

    A repeat is the mean over `TEXTS` texts, one by one. Their lengths are those of the split (`Examples.spread`).

    Args:
        model: in main memory
        examples: of a split
        clock: gives seconds
    """
    texts = examples.take(examples.spread(TEXTS))
    inputs = list(batches(texts, group_in_order(np.arange(len(texts)), 1)))
    seconds = []
    with torch_threads(1):
        for repeat in range(-1, REPEATS):
            start = clock()
            for batch in inputs:
                model.logits(batch)
            if repeat >= 0:
                seconds.append(clock() - start)
    return 1000 * median(seconds) / len(inputs)
