"""Quasi-random points: they cover a space more evenly than random ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from attrs import frozen

from bebertlab.api import SamplerOptions, SearchDimension, SearchPoint, SearchSampler, SearchSpace, SearchTrial


@frozen(kw_only=True)
class QuasiRandomSampler(SamplerOptions):
    """Points of a scrambled low-discrepancy sequence, independently of results.

    Point number n is always the same, however many are drawn: a study that is extended continues the sequence. A Sobol
    sequence is most even after a power of two of points.
    """

    kind = "qmc"
    multi_objective: ClassVar[bool] = True
    sequence: Literal["sobol", "halton"] = "sobol"  #: Sobol (1967), scrambled as by Owen; or Halton (1960)

    def build(self, space: SearchSpace) -> SearchSampler:
        """The sampler for a space."""
        return _Sequence(self, space)


class _Sequence(SearchSampler):
    def __init__(self, options: QuasiRandomSampler, space: SearchSpace) -> None:
        self._options = options
        self._space = space

    def ask(self, index: int, attempt: int, trials: Sequence[SearchTrial]) -> SearchPoint:
        """The element number `index` of the sequence; each attempt has another scrambling."""
        point: dict[str, Any] = {}
        for (path, dimension), fraction in zip(
            self._space.dimensions.items(), self._fractions(index, attempt), strict=True
        ):
            if dimension.exists_at(point):
                point[path] = value_at(float(fraction), dimension)
        return point

    def _fractions(self, index: int, attempt: int) -> Sequence[float]:
        from scipy.stats import qmc

        kinds = {"sobol": qmc.Sobol, "halton": qmc.Halton}
        count = len(self._space.dimensions)
        if not count:
            return ()
        sequence = kinds[self._options.sequence](count, scramble=True, rng=self._options.random_seed(0, attempt))
        if index:  # scipy cannot skip nothing
            sequence.fast_forward(index)
        fractions: Sequence[float] = sequence.random(1)[0]
        return fractions


def value_at(fraction: float, dimension: SearchDimension) -> object:
    """The value of a dimension at a fraction, from 0 to below 1, of its range or of its choices."""
    if dimension.choice is not None:
        return dimension.choice[int(fraction * len(dimension.choice))]
    low, high = dimension.range
    if dimension.integer is not None:
        return int(low) + int(fraction * (high - low + 1))
    if dimension.loguniform is None:
        return low + fraction * (high - low)
    return min(high, max(low, math.exp(math.log(low) + fraction * (math.log(high) - math.log(low)))))
