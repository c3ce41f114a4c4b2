from __future__ import annotations

import math
from typing import Any

import pytest

from bebertlab.interfaces.sampler import Objective, SearchDimension
from bebertlab_samplers.optuna_samplers import RandomSampler


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "has none; expected one of choice"),
        ({"choice": (1,), "uniform": (0.0, 1.0)}, "has choice and uniform"),
        ({"choice": ()}, "choice is empty"),
        ({"choice": (1, 2, 1)}, "choice has 1 twice"),
        ({"choice": (1, 1.0)}, "choice has 1 and 1.0: they are equal"),
        ({"choice": ({"kind": "a", "n": 1}, {"n": 1, "kind": "a"})}, "choice has .*: they are equal"),
        ({"uniform": (1.0, 1.0)}, "the first number must be smaller"),
        ({"integer": (4, 2)}, "the first number must be smaller"),
        ({"loguniform": (0.0, 1.0)}, "both numbers must be above 0"),
        ({"uniform": (0.0, math.inf)}, "must be finite"),
    ],
)
def test_an_invalid_dimension_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchDimension(**fields)


def test_1_true_and_text_are_three_choices() -> None:
    dimension = SearchDimension(choice=(1, True, "1"))
    assert [dimension.index(value) for value in (1, True, "1")] == [0, 1, 2]
    assert dimension.index(1.0) == 0


def test_numbers_have_a_range_and_choices_have_none() -> None:
    assert SearchDimension(integer=(1, 4)).range == (1, 4)
    assert SearchDimension(loguniform=(1e-4, 1e-2)).range == (1e-4, 1e-2)
    with pytest.raises(TypeError):
        _ = SearchDimension(choice=(1, 2)).range


def test_a_dimension_lists_its_values() -> None:
    integer, real = SearchDimension(integer=(1, 4)), SearchDimension(uniform=(0.0, 1.0))
    assert [integer.holds(value) for value in (1, 4, 5, 2.5, True)] == [True, True, False, False, False]
    assert [real.holds(value) for value in (0.0, 1.0, 1.1, "0")] == [True, True, False, False]
    assert [SearchDimension(choice=("a", 1)).holds(value) for value in ("a", 1.0, True)] == [True, True, False]


def test_an_objective_is_maximized_or_minimized() -> None:
    assert Objective().maximize
    assert not Objective(goal="minimize").maximize


def test_random_seeds_differ_by_index_and_attempt() -> None:
    sampler = RandomSampler(trials=4, seed=3)
    seeds = {sampler.random_seed(index, attempt) for index in range(10) for attempt in range(10)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert RandomSampler(trials=9, seed=3).random_seed(1, 2) == sampler.random_seed(1, 2)
    assert RandomSampler(trials=4, seed=4).random_seed(1, 2) != sampler.random_seed(1, 2)
