"""Boosting of regressors."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from attrs import frozen

from bebertlab.api import Ensemble, Floats, MemberResult, SampleWeights, TrainingData
from bebertlab_bebert.rounds import Rounds


@frozen(kw_only=True)
class AdaBoostR2(Ensemble):
    """AdaBoost.R2.

    d_n = |f_n - y_n|,  r_n = d_n / max d,  l_n = r_n (linear), r_n^2 (square) or 1 - exp(-r_n) (exponential),
    e = sum v_n l_n,  b = e / (1 - e),  v_n <- v_n b^(1 - l_n) / sum,  member weight ln(1 / b).
    A member with e >= 0.5 is discarded.
    Shape: logits (N, 1), labels (N,) -> weights (N,).
    Source: Drucker, Improving Regressors using Boosting Techniques, 1997.
    Differs: after a discarded member it tries again with equal weights, as often as the options say. The BEBERT code
    keeps such members, with a negative weight. After a member without any error it goes on, unless told to stop as
    Drucker does, so that an ensemble has the size that was asked for.
    """

    rounds: Rounds
    error_floor: float
    loss: Literal["linear", "square", "exponential"]

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        """Equal weights."""
        return self.rounds.first(len(data))

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        """Weigh the member by its weighted loss, and lower the weight of what it gets right."""
        if logits is None:
            raise ValueError("a member of boosting is judged by its logits")
        distance = np.abs(logits[:, 0] - data.labels)
        shares = weights.weights / weights.weights.sum()
        if not distance.any():
            return self.rounds.perfect(-math.log(_odds(self.error_floor)), shares)
        loss = self._losses(distance / distance.max())
        error = float(shares @ loss)
        if error >= 0.5:
            return self.rounds.discarded(error, weights)
        beta = _odds(max(error, self.error_floor))
        return self.rounds.kept(-math.log(beta), error, shares * beta ** (1 - loss))

    def _losses(self, relative: Floats) -> Floats:
        if self.loss == "linear":
            return relative
        return relative**2 if self.loss == "square" else -np.expm1(-relative)


def _odds(error: float) -> float:
    return error / (1 - error)
