"""All combinations of choices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from bebertlab.api import PointListOptions, SearchDimension, SearchPoint, SearchSpace


@frozen(kw_only=True)
class GridSampler(PointListOptions):
    """Every combination of the choices; the last searched path varies fastest."""

    kind = "grid"

    def points(self, space: SearchSpace) -> Iterable[SearchPoint]:
        """The product of the choices of those options that exist."""
        return _product(list(space.dimensions.items()), {})


def _product(dimensions: Sequence[tuple[str, SearchDimension]], earlier: SearchPoint) -> Iterator[SearchPoint]:
    if not dimensions:
        yield earlier
        return
    (path, dimension), *others = dimensions
    if not dimension.exists_at(earlier):
        yield from _product(others, earlier)
        return
    for value in dimension.choice or ():
        yield from _product(others, {**earlier, path: value})
