"""Ensembles whose members do not depend on each other: bagging, and the single model."""

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
from bebertlab_bebert.merging import MeanProbabilityOptions, WeightedMeanOptions

_EQUAL = MemberResult(weight=1.0, kept=True, error=None, next=None)


def _mean(classes: int) -> MergerOptions:
    return MeanProbabilityOptions() if classes > 1 else WeightedMeanOptions()


@frozen(kw_only=True)
class SingleOptions(EnsembleOptions):
    """A single model that trains on every example once per epoch: the baseline of ensembles."""

    kind = "single"
    sequential = False
    needs_predictions = False
    single = True

    def build(self, classes: int) -> Ensemble:
        """The strategy, for classes and regression."""
        return Single()

    def merger(self, classes: int) -> MergerOptions:
        """The mean of probabilities, or of values."""
        return _mean(classes)


class Single(Ensemble):
    """One member on every example."""

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        """Every example."""
        return SampleWeights(sampling=Sampling.ALL, weights=np.full(len(data), 1 / len(data)))

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        """The only member is kept."""
        return _EQUAL


@frozen(kw_only=True)
class BaggingOptions(EnsembleOptions):
    """Each member trains on a separate bootstrap: N examples drawn with replacement, the same in every epoch.

    With a `share` below 1 a member trains on round(share * N) examples, for that share of the steps: drawn with
    replacement (m-out-of-n bootstrap), or without (`replacement: false`: random subsampling, subagging, pasting), where
    each of them occurs once per epoch.
    Source: Breiman, Bagging Predictors, 1996; without replacement: Breiman, Pasting Small Votes, 1999, and Bühlmann and
    Yu, Analyzing Bagging, 2002.
    Differs from the BEBERT code: members start independently of each other (unless the recipe sets
    `start: previous`), draws are seeded, and probabilities are averaged instead of logits.
    """

    kind = "bagging"
    sequential = False
    needs_predictions = False

    #: of the N examples that each member trains on
    share: float = field(default=1.0, validator=[validators.gt(0), validators.le(1)])
    replacement: bool = True  #: false: no example occurs twice in an epoch; with a share of 1 all examples are used

    def build(self, classes: int) -> Ensemble:
        """The strategy, for classes and regression."""
        return Bagging(share=self.share, replacement=self.replacement)

    def merger(self, classes: int) -> MergerOptions:
        """The mean of the members' probabilities, or values."""
        return _mean(classes)


@frozen(kw_only=True)
class Bagging(Ensemble):
    """Independent draws, and equal weights of the members."""

    share: float
    replacement: bool

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        """A bootstrap, drawn in training by the member's seed, or the examples with the lowest random numbers."""
        examples = len(data)
        count = max(1, round(self.share * examples))
        if self.replacement:
            draws = None if count == examples else count
            return SampleWeights(sampling=Sampling.BOOTSTRAP, weights=np.full(examples, 1 / examples), draws=draws)
        weights = np.zeros(examples)
        weights[np.argsort(data.uniform("bagging", index), kind="stable")[:count]] = 1 / count
        return SampleWeights(sampling=Sampling.SUBSET, weights=weights)

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        """Every member has the same weight."""
        return _EQUAL
