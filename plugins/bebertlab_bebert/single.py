"""One model."""

from __future__ import annotations

import numpy as np
from attrs import frozen

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
class SingleOptions(EnsembleOptions):
    """One member that sees every example once an epoch: what an ensemble has to beat."""

    kind = "single"
    sequential = False
    needs_predictions = False
    single = True

    def build(self, classes: int) -> Ensemble:
        """The strategy; the number of classes does not matter."""
        return Single()

    def merger(self, classes: int) -> MergerOptions:
        """Its own probabilities, or values."""
        return MeanProbabilityOptions() if classes > 1 else WeightedMeanOptions()


class Single(Ensemble):
    """One member on every example."""

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        """Every example."""
        return SampleWeights(sampling=Sampling.ALL, weights=np.full(len(data), 1 / len(data)))

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        """It is kept, and nothing comes after it."""
        return MemberResult(weight=1.0, kept=True, error=None, next=None)
