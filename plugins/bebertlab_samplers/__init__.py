"""Samplers of search spaces: a grid, random and quasi-random points, and those of Optuna."""

from __future__ import annotations

from collections.abc import Iterable

from bebertlab.api import PointListOptions, SamplerOptions, hookimpl
from bebertlab_samplers.grid import GridSampler
from bebertlab_samplers.optuna_by_name import OptunaSampler
from bebertlab_samplers.optuna_samplers import GpSampler, NsgaSampler, RandomSampler, TpeSampler
from bebertlab_samplers.quasi_random import QuasiRandomSampler


@hookimpl
def bebertlab_samplers() -> Iterable[type[SamplerOptions] | type[PointListOptions]]:
    """The samplers of this plugin."""
    return (GridSampler, RandomSampler, TpeSampler, NsgaSampler, QuasiRandomSampler, GpSampler, OptunaSampler)
