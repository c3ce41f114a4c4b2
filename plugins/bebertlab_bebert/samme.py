"""Boosting of classifiers."""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen

from bebertlab.api import Ensemble, Floats, MemberResult, SampleWeights, TrainingData
from bebertlab_bebert.rounds import Rounds


@frozen(kw_only=True)
class Samme(Ensemble):
    """AdaBoost for C classes.

    e = sum of v_n over misses,  a = ln((1 - e) / e) + ln(C - 1),  v_n <- v_n exp(a [n is a miss]) / sum.
    A member with e >= 1 - 1/C is discarded.
    Shape: logits (N, C), labels (N,) -> weights (N,).
    Source: Zhu et al., Multi-class AdaBoost, 2009 (for C = 2, AdaBoost.M1 with twice its member weight).
    Differs from the BEBERT code: predictions of the whole train split in its order, the term ln(C - 1), a bound where
    e = 0, and no member of negative weight.
    """

    rounds: Rounds
    error_floor: float
    classes: int

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        """Equal weights."""
        return self.rounds.first(len(data))

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        """Weigh the member by its weighted error, and raise the weight of what it misses."""
        if logits is None:
            raise ValueError("a member of boosting is judged by its logits")
        miss = logits.argmax(axis=1) != data.labels
        shares = weights.weights / weights.weights.sum()
        error = float(shares[miss].sum())
        if error >= 1 - 1 / self.classes - 1e-12:  # chance itself, as a sum of rounded shares
            return self.rounds.discarded(error, weights)
        bounded = max(error, self.error_floor)
        weight = math.log((1 - bounded) / bounded) + math.log(self.classes - 1)
        if not miss.any():
            return self.rounds.perfect(weight, shares)
        return self.rounds.kept(weight, error, shares * np.exp(weight * miss))
