"""Ensembles: the sample weights and the weight of each member, and how members are merged."""

from __future__ import annotations

from bebertlab.artifacts.members import (
    UNTRAINED,
    Member,
    first_sample_weights,
    read_member,
    training_data,
    update_ensemble,
    write_member,
)
from bebertlab.artifacts.merged import MergedEnsemble, MergedMember, read_merged, write_merged
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
    "UNTRAINED",
    "Ensemble",
    "EnsembleOptions",
    "Floats",
    "Member",
    "MemberResult",
    "MergedEnsemble",
    "MergedMember",
    "Merger",
    "MergerOptions",
    "SampleWeights",
    "Sampling",
    "TrainingData",
    "first_sample_weights",
    "read_member",
    "read_merged",
    "training_data",
    "update_ensemble",
    "write_member",
    "write_merged",
]
