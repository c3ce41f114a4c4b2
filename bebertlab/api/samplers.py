"""Samplers: which points of a search space a study tries."""

from __future__ import annotations

from bebertlab.interfaces.sampler import (
    Objective,
    Point,
    PointListOptions,
    SamplerOptions,
    SearchDimension,
    SearchSampler,
    SearchSpace,
    SearchTrial,
)

__all__ = [
    "Objective",
    "Point",
    "PointListOptions",
    "SamplerOptions",
    "SearchDimension",
    "SearchSampler",
    "SearchSpace",
    "SearchTrial",
]
