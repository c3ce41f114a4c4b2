"""Which examples an epoch holds: how the round of an ensemble reaches the training of a member."""

from __future__ import annotations

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from bebertlab.interfaces.ensemble import Round, Sampling
from bebertlab.train.batches import Grouping, group_for_training
from bebertlab.train.seed import derive_seed


@frozen(kw_only=True, eq=False)
class Sampler:
    """Draws the examples of each epoch, from a generator of its own: the model's dropout does not touch the data.

    Without a round every example comes once an epoch. A bootstrap draw is one for all epochs and phases.
    """

    seed: int
    lengths: NDArray[np.int64]  #: (N,) tokens of each example
    round: Round | None = None
    _drawn: NDArray[np.int64] = field(init=False)

    @_drawn.default
    def _bootstrap(self) -> NDArray[np.int64]:
        if self._sampling is Sampling.BOOTSTRAP:
            return self._draw(self._generator("bootstrap"))
        return np.arange(len(self.lengths))

    @property
    def loss_weights(self) -> Tensor | None:
        """(N,) weights with mean 1 of the examples' losses; None is all ones."""
        if self.round is None or self._sampling is not Sampling.REWEIGHT:
            return None
        return torch.as_tensor(len(self.lengths) * self.round.weights, dtype=torch.float32)

    def epoch(self, phase: str, number: int, batch_size: int) -> Grouping:
        """The batches of an epoch, each phase and epoch in an order of its own."""
        generator = self._generator("order", phase, number)
        drawn = self._draw(generator) if self._sampling is Sampling.RESAMPLE else self._drawn
        return group_for_training(self.lengths, drawn, batch_size, generator)

    @property
    def _sampling(self) -> Sampling:
        return Sampling.ALL if self.round is None else self.round.sampling

    def _generator(self, *words: str | int) -> np.random.Generator:
        return np.random.default_rng(derive_seed(self.seed, *words))

    def _draw(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """N positions with replacement, by the weights of the round."""
        weights = None if self.round is None else self.round.weights / self.round.weights.sum()
        return generator.choice(len(self.lengths), size=len(self.lengths), replace=True, p=weights)
