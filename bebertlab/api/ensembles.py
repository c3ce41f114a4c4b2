"""Ensembles: what each member trains on, its weight, and how members are merged."""

from __future__ import annotations

from bebertlab.interfaces.ensemble import (
    Ensemble,
    EnsembleOptions,
    Floats,
    MemberResult,
    Merger,
    MergerOptions,
    SampleWeights,
    Sampling,
)
from bebertlab.interfaces.training_data import TrainingData

__all__ = [
    "Ensemble",
    "EnsembleOptions",
    "Floats",
    "MemberResult",
    "Merger",
    "MergerOptions",
    "SampleWeights",
    "Sampling",
    "TrainingData",
]
