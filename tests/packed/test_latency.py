from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bebertlab.config.codec import OptionsCodec
from bebertlab.data.examples import Examples, load_examples
from bebertlab.interfaces.batch import Batch
from bebertlab.packed.latency import REPEATS, TEXTS, sentence_milliseconds
from bebertlab.packed.model import PackedModel
from bebertlab.packed.read import read_packed
from bebertlab.testing.tiny import tiny_task


class Watched(PackedModel):
    """A packed model that notes what it is given."""

    def logits(self, batch: Batch) -> Tensor:
        lengths.append(tuple(batch.mask.sum(1).tolist()))
        threads.add(torch.get_num_threads())
        return super().logits(batch)


lengths: list[tuple[int, ...]] = []
threads: set[int] = set()


@pytest.fixture
def model(packed: Path, codec: OptionsCodec) -> PackedModel:
    lengths.clear()
    threads.clear()
    return Watched.of(read_packed(packed, codec))


def examples(packed: Path, count: int) -> Examples:
    return load_examples(tiny_task(examples=count), "train", packed, 32)


def clock(seconds: list[float]) -> Iterator[float]:
    """The times at the beginnings and the ends of repeats that take these seconds."""
    now = 0.0
    for duration in seconds:
        yield now
        now += duration
        yield now


def test_it_is_the_median_over_repeats_of_the_mean_over_texts(model: PackedModel, packed: Path) -> None:
    # the first repeat is not timed, so that its end is not asked for
    times = clock([100.0, 8.0, 2.0, 4.0, 1.0, 9.0])
    moments = [next(times) for _ in range(12)]
    del moments[1]
    milliseconds = sentence_milliseconds(model, examples(packed, 8), clock=iter(moments).__next__)
    assert milliseconds == pytest.approx(1000 * 4.0 / 8)
    assert len(lengths) == 8 * (REPEATS + 1)


def test_texts_come_one_by_one_on_one_thread_at_the_lengths_of_the_split(model: PackedModel, packed: Path) -> None:
    split = examples(packed, 300)
    before = torch.get_num_threads()
    assert sentence_milliseconds(model, split) > 0
    assert torch.get_num_threads() == before
    assert threads == {1}
    assert len(lengths) == TEXTS * (REPEATS + 1)
    timed = [length for (length,) in lengths[-TEXTS:]]
    assert timed == sorted(timed)
    assert abs(np.mean(timed) - split.tokens.lengths.mean()) < 0.3
