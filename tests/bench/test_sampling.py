from __future__ import annotations

import numpy as np
import pytest

from bebertlab.bench.lengths import sentence_lengths
from bebertlab.bench.sampling import FewBatches
from bebertlab.training.sampler import EpochSampler

LENGTHS = sentence_lengths(1600, seed=0)


def _widths(sampler: EpochSampler) -> list[int]:
    plan = sampler.epoch("labels", 0, 32)
    return [int(LENGTHS[plan.order[a:b]].max()) for a, b in zip(plan.bounds, plan.bounds[1:], strict=False)]


@pytest.mark.parametrize("steps", [6, 8, 40, 50])
def test_few_batches_are_padded_like_many(steps: int) -> None:
    whole = _widths(EpochSampler(seed=0, lengths=LENGTHS))
    few = _widths(FewBatches(seed=0, lengths=LENGTHS, warm_up=2, steps=steps))
    assert len(few) == 2 + steps
    assert float(np.mean(few[2:])) == pytest.approx(float(np.mean(whole)), rel=0.07)


def test_all_batches_are_the_epoch() -> None:
    whole = _widths(EpochSampler(seed=0, lengths=LENGTHS))
    assert _widths(FewBatches(seed=0, lengths=LENGTHS, warm_up=0, steps=50)) == whole
