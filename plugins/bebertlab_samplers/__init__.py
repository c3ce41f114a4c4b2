"""Samplers of search spaces: a grid, random points, and the tree-structured Parzen estimator of Optuna."""

from __future__ import annotations

from collections.abc import Iterable

from bebertlab.api import PointListOptions, SamplerOptions, hookimpl
from bebertlab_samplers.grid import GridSampler
from bebertlab_samplers.optuna_samplers import RandomSampler, TpeSampler


@hookimpl
def bebertlab_samplers() -> Iterable[type[SamplerOptions] | type[PointListOptions]]:
    """The samplers of this plugin."""
    return (GridSampler, RandomSampler, TpeSampler)
