"""All combinations of choices."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from attrs import frozen

from bebertlab.api import PointListOptions, SearchPoint, SearchSpace


@frozen(kw_only=True)
class GridSampler(PointListOptions):
    """Every combination of the choices; the last searched path varies fastest."""

    kind = "grid"

    def points(self, space: SearchSpace) -> Iterable[SearchPoint]:
        """The product of the choices."""
        choices = [dimension.choice or () for dimension in space.dimensions.values()]
        return (dict(zip(space.dimensions, values, strict=True)) for values in itertools.product(*choices))
