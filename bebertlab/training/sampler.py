"""Which examples an epoch holds: how the round of an ensemble reaches the training of a member."""

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
    """Draws the examples of each epoch, from a generator of its own: the model's dropout does not touch the data.

    Without a round every example comes once an epoch. A bootstrap or a subset is one for all epochs and phases.
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
        """Examples of an epoch, repeated ones counted as often as they come."""
        return self._draws if self._sampling is Sampling.RESAMPLE else len(self._drawn)

    @property
    def subset(self) -> NDArray[np.int64] | None:
        """The positions that training is confined to by a subset or fewer draws than examples; None for all."""
        fewer = self._sampling is Sampling.BOOTSTRAP and self._draws < len(self.lengths)
        if not fewer and self._sampling is not Sampling.SUBSET:
            return None
        chosen = np.unique(self._drawn)
        return None if len(chosen) == len(self.lengths) else chosen

    @property
    def loss_weights(self) -> Tensor | None:
        """(N,) weights with mean 1 of the examples' losses; None is all ones."""
        if self.round is None or self._sampling is not Sampling.REWEIGHT:
            return None
        return torch.as_tensor(len(self.lengths) * self.round.weights, dtype=torch.float32)

    def epoch(self, phase: str, number: int, batch_size: int) -> BatchPlan:
        """The batches of an epoch, each phase and epoch in an order of its own."""
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

    def _generator(self, *words: str | int) -> np.random.Generator:
        return np.random.default_rng(derive_seed(self.seed, *words))

    def _draw(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Positions with replacement, by the weights of the round."""
        weights = None if self.round is None else self.round.weights / self.round.weights.sum()
        return generator.choice(len(self.lengths), size=self._draws, replace=True, p=weights)
