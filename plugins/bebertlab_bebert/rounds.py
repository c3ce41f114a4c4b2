"""What both kinds of boosting do with the weights of the examples."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from bebertlab.api import Floats, MemberResult, SampleWeights, Sampling


@frozen(kw_only=True)
class Rounds:
    """From one round to the next."""

    sampling: Sampling
    retries: int
    stop_at_perfect: bool
    weight_floor: float

    def first(self, examples: int) -> SampleWeights:
        """Equal weights."""
        return SampleWeights(sampling=self.sampling, weights=np.full(examples, 1 / examples))

    def kept(self, weight: float, error: float, weights: Floats) -> MemberResult:
        """A member of some use; `weights` of the examples need not sum to 1."""
        shares = weights / weights.sum()
        if self.weight_floor > 0:
            shares = np.maximum(shares, self.weight_floor / len(shares))
            shares = shares / shares.sum()
        return MemberResult(
            weight=weight, kept=True, error=error, next=SampleWeights(sampling=self.sampling, weights=shares)
        )

    def perfect(self, weight: float, weights: Floats) -> MemberResult:
        """A member without errors: there is nothing to weigh anew."""
        following = (
            None if self.stop_at_perfect else SampleWeights(sampling=self.sampling, weights=weights / weights.sum())
        )
        return MemberResult(weight=weight, kept=True, error=0.0, next=following)

    def discarded(self, error: float, weights: SampleWeights) -> MemberResult:
        """A member no better than chance: the next one starts from equal weights, unless this happens too often."""
        again = None
        if weights.retries < self.retries:
            equal = self.first(len(weights.weights))
            again = SampleWeights(sampling=self.sampling, weights=equal.weights, retries=weights.retries + 1)
        return MemberResult(weight=0.0, kept=False, error=error, next=again)
