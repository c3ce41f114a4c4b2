"""Batches that are computed in parts, whose gradients add up to those of the batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch
from attrs import evolve

from bebertlab.errors import SetupError
from bebertlab.interfaces.batch import Batch
from bebertlab.training.objective import LossValue

_log = logging.getLogger(__name__)


class MicroBatches:
    """The size of the parts, which is halved where the memory of the device does not suffice."""

    def __init__(self, size: int | None, stage: str, warn: Callable[[str], None]) -> None:
        self.size = size  #: examples of a part, at most; None: whole batches
        self.was_halved = False  #: the memory did not suffice for what the options ask for
        self._stage, self._warn = stage, warn

    def split(self, batch: Batch) -> list[Batch]:
        """The parts of a batch, padded as the batch is."""
        count = len(batch.positions)
        if self.size is None or self.size >= count:
            return [batch]
        return [_rows(batch, slice(start, start + self.size)) for start in range(0, count, self.size)]

    def halve(self, batch: Batch) -> None:
        """Take smaller parts for this batch and the following ones; the first time with a warning.

        Raises:
            SetupError: the parts have a single example already.
        """
        size = min(self.size or len(batch.positions), len(batch.positions))
        if size == 1:
            raise SetupError(
                f"{self._stage}: out of memory with a single example per step; use a device with more memory, or"
                " texts with fewer tokens"
            )
        self.restore(-(-size // 2), was_halved=True)

    def restore(self, size: int | None, *, was_halved: bool) -> None:
        """Continue with a size that was halved before."""
        if was_halved and not self.was_halved:
            self._warn(
                "the device ran out of memory, so batches are computed in smaller parts (as with"
                " train.micro_batch_size): the numbers differ in their last digits, and with dropout by chance"
            )
        if was_halved:
            _log.info("%s: batches are computed in parts of at most %d examples", self._stage, size)
        self.size, self.was_halved = size, was_halved


def merged_loss(parts: Sequence[LossValue], shares: Sequence[float]) -> LossValue:
    """The loss of a batch, from the losses of its parts and their shares of its examples."""
    terms = zip(*(part.terms for part in parts), strict=True)
    return LossValue(
        total=torch.stack([share * part.total for share, part in zip(shares, parts, strict=True)]).sum(),
        names=parts[0].names,
        terms=tuple(
            torch.stack([share * term for share, term in zip(shares, column, strict=True)]).sum(dim=0)
            for column in terms
        ),
    )


def _rows(batch: Batch, rows: slice) -> Batch:
    return evolve(
        batch,
        positions=batch.positions[rows],
        tokens=batch.tokens[rows],
        segments=batch.segments[rows],
        mask=batch.mask[rows],
        labels=batch.labels[rows],
        weights=None if batch.weights is None else batch.weights[rows],
    )
