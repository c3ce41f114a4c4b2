"""Members that differ in what they have seen."""

from __future__ import annotations

import numpy as np
from attrs import field, frozen, validators

from bebertlab.api import (
    Ensemble,
    EnsembleOptions,
    Floats,
    MemberResult,
    MergerOptions,
    SampleWeights,
    Sampling,
    TrainingData,
)
from bebertlab_bebert.average import WeightedMeanOptions
from bebertlab_bebert.probability import MeanProbabilityOptions


@frozen(kw_only=True)
class BaggingOptions(EnsembleOptions):
    """Each member trains on a bootstrap of its own: N examples drawn with replacement, the same in every epoch.

    With a `share` below 1 a member trains on round(share * N) examples, and takes that share of the steps: drawn with
    replacement (m-out-of-n bootstrap), or without (`replacement: false`: random subsampling, subagging, pasting), when
    each of them comes once an epoch.
    Source: Breiman, Bagging Predictors, 1996; without replacement: Breiman, Pasting Small Votes, 1999, and Bühlmann and
    Yu, Analyzing Bagging, 2002.
    Differs from the BEBERT code: members start independently of each other (unless the recipe says
    `start: previous`), draws are seeded, and probabilities are averaged instead of logits.
    """

    kind = "bagging"
    sequential = False
    needs_predictions = False

    #: of the N examples that each member trains on
    share: float = field(default=1.0, validator=[validators.gt(0), validators.le(1)])
    replacement: bool = True  #: false: no example comes twice in an epoch; with a share of 1 members see all of them

    def build(self, classes: int) -> Ensemble:
        """The strategy; the number of classes does not matter."""
        return Bagging(share=self.share, replacement=self.replacement)

    def merger(self, classes: int) -> MergerOptions:
        """The mean of the members' probabilities, or values."""
        return MeanProbabilityOptions() if classes > 1 else WeightedMeanOptions()


@frozen(kw_only=True)
class Bagging(Ensemble):
    """Draws of a member's own, and equal weights."""

    share: float
    replacement: bool

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        """A bootstrap, which training draws by the member's seed, or the examples with the member's lowest numbers."""
        examples = len(data)
        count = max(1, round(self.share * examples))
        if self.replacement:
            draws = None if count == examples else count
            return SampleWeights(sampling=Sampling.BOOTSTRAP, weights=np.full(examples, 1 / examples), draws=draws)
        weights = np.zeros(examples)
        weights[np.argsort(data.uniform("bagging", index), kind="stable")[:count]] = 1 / count
        return SampleWeights(sampling=Sampling.SUBSET, weights=weights)

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        """Every member counts the same."""
        return MemberResult(weight=1.0, kept=True, error=None, next=None)
