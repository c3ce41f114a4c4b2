from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bebertlab.errors import UserError
from bebertlab.interfaces.sampler import SearchDimension
from bebertlab.interfaces.values import identity
from bebertlab.study.space import boxes, excluded, free_point, space_size

AXES = {"a": (1, 2, True), "b": ("x", None, {"kind": "y"}), "c": (0, 1, 2, 3, 4)}


def line(values: tuple[object, ...]) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(values), max_size=3) | st.sampled_from(values)


items = st.lists(st.fixed_dictionaries({}, optional={path: line(values) for path, values in AXES.items()}), max_size=4)


@given(items)
@settings(max_examples=60, deadline=None)
def test_boxes_hold_every_point_that_is_not_excluded_once(exclude: list[dict[str, Any]]) -> None:
    search = {
        "a": SearchDimension(choice=AXES["a"]),
        "b": SearchDimension(choice=AXES["b"]),
        "c": SearchDimension(integer=(0, 4)),
    }
    points = [dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())]
    kept = [point for point in points if not excluded(point, exclude)]
    space = (search, exclude)
    found = [box.discrete(rank) for box in boxes(*space) for rank in range(box.size)]
    assert sorted(map(identity, found)) == sorted(map(identity, kept))
    assert space_size(*space) == len(kept)
    assert all(sum(box.holds(point) for box in boxes(*space)) == (point in kept) for point in kept)


@given(items, st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_free_points_are_all_that_are_left_and_then_none(exclude: list[dict[str, Any]], seed: int) -> None:
    search = {
        "a": SearchDimension(choice=AXES["a"]),
        "b": SearchDimension(choice=AXES["b"]),
        "c": SearchDimension(integer=(0, 4)),
    }
    space = (search, exclude)
    drawn: list[dict[str, Any]] = []
    for _ in range(space_size(*space) or 0):
        drawn.append(dict(free_point(*space, drawn, Random(seed))))
    assert len(set(map(identity, drawn))) == len(drawn)
    assert not any(excluded(point, exclude) for point in drawn)
    with pytest.raises(UserError, match="no further point"):
        free_point(*space, drawn, Random(seed))


def test_a_large_space_is_counted_without_listing_it() -> None:
    large = {f"n{index}": SearchDimension(integer=(1, 10**9)) for index in range(3)}
    space = (large, [{"n0": [1, 5], "n1": 7}])
    assert space_size(*space) == 10**27 - 2 * 10**9
    point = free_point(*space, [], Random(0))
    assert all(1 <= value <= 10**9 for value in point.values())


def test_the_last_point_of_a_large_space_is_found() -> None:
    space: tuple[Any, Any] = ({"a": SearchDimension(integer=(1, 1000))}, ())
    before = [{"a": value} for value in range(1, 1001) if value != 123]
    assert free_point(*space, before, Random(0)) == {"a": 123}


def test_a_range_of_real_numbers_has_no_end_but_what_stands_beside_it_may_be_excluded() -> None:
    search = {
        "kind": SearchDimension(choice=tuple(range(1000))),
        "b": SearchDimension(uniform=(0, 1)),
        "c": SearchDimension(loguniform=(1e-4, 1e-2)),
    }
    space = (search, [{"kind": [kind for kind in range(1000) if kind != 7]}])
    assert space_size(*space) is None
    points = [free_point(*space, [], Random(seed)) for seed in range(5)]
    assert {point["kind"] for point in points} == {7}
    assert len({point["b"] for point in points}) == 5
    assert all(0 <= point["b"] <= 1 and 1e-4 <= point["c"] <= 1e-2 for point in points)
    assert space_size(search, [{"kind": list(range(1000))}]) == 0
    assert space_size(search, [{"kind": list(range(1000)), "b": 0.5}]) is None
