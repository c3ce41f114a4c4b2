from __future__ import annotations

from bebertlab.api import SearchDimension, SearchSpace
from bebertlab.testing import check_sampler
from bebertlab_samplers.grid import GridSampler


def test_the_last_path_varies_fastest() -> None:
    space = SearchSpace(
        dimensions={"a": SearchDimension(choice=("x", "y")), "b": SearchDimension(choice=(1, True, None))}
    )
    points = [tuple(point.values()) for point in GridSampler().points(space)]
    assert points == [("x", 1), ("x", True), ("x", None), ("y", 1), ("y", True), ("y", None)]


def test_an_empty_search_space_has_one_point() -> None:
    assert list(GridSampler().points(SearchSpace(dimensions={}))) == [{}]


def test_grid_keeps_the_sampler_contract() -> None:
    check_sampler(GridSampler())
