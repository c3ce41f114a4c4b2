"""A few batches that stand for an epoch."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from bebertlab.data.batches import BatchPlan
from bebertlab.training.sampler import EpochSampler


@frozen(kw_only=True, eq=False)
class FewBatches(EpochSampler):
    """Some batches to warm up, then batches of all lengths of the epoch, evenly spread over them.

    Fewer sentences instead of fewer batches of many would be padded more: like lengths meet only among many.
    """

    warm_up: int  #: batches at the start
    steps: int  #: batches after them

    def epoch(self, phase: str, number: int, batch_size: int) -> BatchPlan:
        """The chosen batches of an epoch, in its order."""
        whole = super().epoch(phase, number, batch_size)
        by_width = np.argsort(np.maximum.reduceat(self.lengths[whole.order], whole.bounds[:-1]), kind="stable")
        places = np.rint((np.arange(self.steps) + 0.5) / self.steps * len(whole) - 0.5)
        chosen = np.sort(by_width[places.astype(np.int64)])
        batches = [whole.order[whole.bounds[i] : whole.bounds[i + 1]] for i in (*chosen[: self.warm_up], *chosen)]
        sizes = [len(batch) for batch in batches]
        return BatchPlan(order=np.concatenate(batches), bounds=np.concatenate(([0], np.cumsum(sizes))))
