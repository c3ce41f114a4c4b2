"""BEBERT: ensembles of binary BERTs by bagging and boosting, the rules that merge them, and its variants A, B and C."""

from __future__ import annotations

from bebertlab.api import DistillationOptions, EnsembleOptions, MergerOptions, hookimpl
from bebertlab_bebert.bagging import BaggingOptions, SingleOptions
from bebertlab_bebert.boosting import BoostingOptions
from bebertlab_bebert.merging import (
    HardVoteOptions,
    MeanProbabilityOptions,
    WeightedMeanOptions,
    WeightedMedianOptions,
    WeightedProbabilityOptions,
)
from bebertlab_bebert.variants import BebertA, BebertB, BebertC


@hookimpl
def bebertlab_ensembles() -> list[type[EnsembleOptions]]:
    """Single, bagging and boosting."""
    return [SingleOptions, BaggingOptions, BoostingOptions]


@hookimpl
def bebertlab_mergers() -> list[type[MergerOptions]]:
    """Merging by votes, by probabilities and by values."""
    return [
        HardVoteOptions,
        MeanProbabilityOptions,
        WeightedProbabilityOptions,
        WeightedMeanOptions,
        WeightedMedianOptions,
    ]


@hookimpl
def bebertlab_distillations() -> list[type[DistillationOptions]]:
    """Distillations of the members in BEBERT's variants."""
    return [BebertA, BebertB, BebertC]
