"""Samplers: which points of a search space a study tries."""

from __future__ import annotations

from bebertlab.interfaces.sampler import (
    Constraint,
    Objective,
    PointListOptions,
    SamplerOptions,
    SearchDimension,
    SearchPoint,
    SearchSampler,
    SearchSpace,
    SearchTrial,
)

__all__ = [
    "Constraint",
    "Objective",
    "PointListOptions",
    "SamplerOptions",
    "SearchDimension",
    "SearchPoint",
    "SearchSampler",
    "SearchSpace",
    "SearchTrial",
]
