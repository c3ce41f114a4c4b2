from __future__ import annotations

from typing import Any

import pytest

from bebertlab.study.study import SearchDimension, SearchSampler, Study, same, show


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "says nothing; it needs one of choice"),
        ({"choice": (1,), "uniform": (0.0, 1.0)}, "says choice and uniform"),
        ({"choice": ()}, "choice is empty"),
        ({"choice": (1, 2, 1)}, "choice has 1 twice"),
        ({"choice": ({"kind": "a", "n": 1}, {"n": 1, "kind": "a"})}, r"choice has a\(n=1\) twice"),
        ({"uniform": (1.0, 1.0)}, "the first number must be smaller"),
        ({"integer": (4, 2)}, "the first number must be smaller"),
        ({"loguniform": (0.0, 1.0)}, "both numbers must be above 0"),
        ({"uniform": (0.0, float("inf"))}, "must be finite"),
    ],
)
def test_an_axis_says_what_is_wrong(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SearchDimension(**fields)


def test_one_and_true_are_two_choices() -> None:
    assert SearchDimension(choice=(1, True, 1.0, "1")).choice == (1, True, 1.0, "1")


def test_an_axis_of_numbers_has_a_range() -> None:
    assert SearchDimension(integer=(1, 4)).range == (1, 4)
    assert SearchDimension(loguniform=(1e-4, 1e-2)).range == (1e-4, 1e-2)


def test_a_grid_counts_itself_and_samplers_are_told() -> None:
    with pytest.raises(ValueError, match="a grid has all combinations"):
        SearchSampler(kind="grid", trials=4)
    with pytest.raises(ValueError, match="tpe needs trials"):
        SearchSampler(kind="tpe")


def test_only_tpe_has_startup_points() -> None:
    assert SearchSampler(kind="tpe", trials=4).startup == 10
    with pytest.raises(ValueError, match="startup of the sampler tpe is null"):
        SearchSampler(kind="tpe", trials=4, startup=None)
    assert SearchSampler(kind="tpe", trials=4, startup=3).startup == 3
    assert SearchSampler(kind="random", trials=4).startup is None
    with pytest.raises(ValueError, match="'startup' must be >= 1"):
        SearchSampler(kind="tpe", trials=4, startup=0)
    for kind in ("grid", "random"):
        with pytest.raises(ValueError, match="startup belongs to the sampler tpe"):
            SearchSampler(kind=kind, trials=None if kind == "grid" else 4, startup=3)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", ".x"])
def test_a_name_is_fit_for_a_folder(name: str) -> None:
    with pytest.raises(ValueError, match="must be of letters, digits"):
        Study(name=name, recipe={})


@pytest.mark.parametrize(("seeds", "words"), [((), "must not be empty"), ((1, 2, 1), "has a seed twice")])
def test_seeds_are_some_and_different(seeds: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Study(name="s", recipe={}, seeds=seeds)


def test_plain_values_are_shown_short() -> None:
    assert show(None) == "null"
    assert show([1, "a"]) == '[1, "a"]'
    assert show({"kind": "lsq"}) == "lsq"
    assert show({"bits": 2}) == "(bits=2)"
    assert same({"a": 1, "b": 2}, {"b": 2, "a": 1})
