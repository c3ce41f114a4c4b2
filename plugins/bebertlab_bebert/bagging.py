"""Members that differ in what they have seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.api import Ensemble, EnsembleOptions, Floats, MergerOptions, Round, Sampling, Verdict
from bebertlab_bebert.average import WeightedMeanOptions
from bebertlab_bebert.probability import MeanProbabilityOptions


@frozen(kw_only=True)
class BaggingOptions(EnsembleOptions):
    """Each member trains on a bootstrap of its own: N examples drawn with replacement, the same in every epoch.

    Source: Breiman, Bagging Predictors, 1996. Differs from the BEBERT code: members start independently of each other
    (unless the recipe says `start: previous`), draws are seeded, and probabilities are averaged instead of logits.
    """

    kind = "bagging"
    sequential = False
    needs_predictions = False

    def build(self, classes: int) -> Ensemble:
        """The strategy; the number of classes does not matter."""
        return Bagging()

    def merger(self, classes: int) -> MergerOptions:
        """The mean of the members' probabilities, or values."""
        return MeanProbabilityOptions() if classes > 1 else WeightedMeanOptions()


class Bagging(Ensemble):
    """Bootstraps, and equal weights."""

    def first(self, examples: int) -> Round:
        """A bootstrap; the member's seed draws it."""
        return Round(sampling=Sampling.BOOTSTRAP, weights=np.full(examples, 1 / examples))

    def judge(self, index: int, round: Round, logits: Floats | None, labels: NDArray[Any]) -> Verdict:
        """Every member counts the same, and the next one draws anew."""
        return Verdict(weight=1.0, kept=True, error=None, next=round)
