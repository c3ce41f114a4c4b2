"""The examples of each epoch, as the sample weights of an ensemble require for its member."""

from __future__ import annotations

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from bebertlab.data.batches import BatchPlan, group_for_training
from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab.training.seed import derive_seed


@frozen(kw_only=True, eq=False)
class EpochSampler:
    """Draws the examples of each epoch from a separate generator: the model's dropout does not influence the data.

    Without sample weights every example occurs once per epoch. A bootstrap or a subset is the same in all epochs and
    phases.
    """

    seed: int
    lengths: NDArray[np.int64]  #: (N,) tokens of each example
    round: SampleWeights | None = None
    _drawn: NDArray[np.int64] = field(init=False)

    @_drawn.default
    def _bootstrap(self) -> NDArray[np.int64]:
        if self._sampling is Sampling.BOOTSTRAP:
            return self._draw(self._generator("bootstrap"))
        if self.round is not None and self._sampling is Sampling.SUBSET:
            return np.flatnonzero(self.round.weights > 0)
        return np.arange(len(self.lengths))

    @property
    def size(self) -> int:
        """Examples of an epoch, counted as often as they occur."""
        return self._draws if self._sampling is Sampling.RESAMPLE else len(self._drawn)

    @property
    def subset(self) -> NDArray[np.int64] | None:
        """The positions that occur in training with a subset, or with fewer draws than examples; None for all."""
        fewer = self._sampling is Sampling.BOOTSTRAP and self._draws < len(self.lengths)
        if not fewer and self._sampling is not Sampling.SUBSET:
            return None
        chosen = np.unique(self._drawn)
        return None if len(chosen) == len(self.lengths) else chosen

    @property
    def loss_weights(self) -> Tensor | None:
        """(N,) weights of the examples' losses, with mean 1; None if all are 1."""
        if self.round is None or self._sampling is not Sampling.REWEIGHT:
            return None
        return torch.as_tensor(len(self.lengths) * self.round.weights, dtype=torch.float32)

    def epoch(self, phase: str, number: int, batch_size: int) -> BatchPlan:
        """The batches of an epoch; each phase and epoch has a different order."""
        generator = self._generator("order", phase, number)
        drawn = self._draw(generator) if self._sampling is Sampling.RESAMPLE else self._drawn
        return group_for_training(self.lengths, drawn, batch_size, generator)

    @property
    def _sampling(self) -> Sampling:
        return Sampling.ALL if self.round is None else self.round.sampling

    @property
    def _draws(self) -> int:
        drawn = None if self.round is None else self.round.draws
        return len(self.lengths) if drawn is None else drawn

    def _generator(self, *names: str | int) -> np.random.Generator:
        return np.random.default_rng(derive_seed(self.seed, *names))

    def _draw(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Positions drawn with replacement, in proportion to the sample weights."""
        weights = None if self.round is None else self.round.weights / self.round.weights.sum()
        return generator.choice(len(self.lengths), size=self._draws, replace=True, p=weights)
