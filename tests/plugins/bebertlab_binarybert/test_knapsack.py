from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab_binarybert.knapsack import choose

#: whole numbers and halves, whose sums are exact
things = st.lists(st.tuples(st.integers(-4, 12).map(lambda n: n / 2), st.integers(0, 9)), max_size=9)


def brute_force(values: list[float], costs: list[float], budget: float) -> tuple[float, float]:
    """The highest value that any subset within the budget has, and the lowest cost of those that have it."""
    found = []
    for taken in product((False, True), repeat=len(values)):
        cost = sum(cost for cost, take in zip(costs, taken, strict=True) if take)
        if cost <= budget:
            found.append((-sum(value for value, take in zip(values, taken, strict=True) if take), cost))
    value, cost = min(found)
    return -value, cost


@given(things, st.integers(0, 30))
def test_no_subset_is_better_or_as_good_and_cheaper(things: list[tuple[float, int]], budget: int) -> None:
    values, costs = [value for value, _ in things], [float(cost) for _, cost in things]
    taken = choose(values, costs, budget)
    value = sum(value for value, take in zip(values, taken, strict=True) if take)
    cost = sum(cost for cost, take in zip(costs, taken, strict=True) if take)
    assert cost <= budget
    assert (value, cost) == brute_force(values, costs, budget)


def test_the_most_valuable_thing_is_not_always_taken() -> None:
    assert choose([10.0, 6.0, 6.0], [5.0, 3.0, 3.0], 6.0) == (False, True, True)


def test_what_has_no_value_is_left_also_where_it_costs_nothing() -> None:
    assert choose([0.0, -1.0, 1.0], [0.0, 0.0, 0.0], 9.0) == (False, False, True)


@pytest.mark.parametrize("budget", [0.0, 0.5])
def test_nothing_to_take(budget: float) -> None:
    assert choose([], [], budget) == ()
    assert choose([1.0], [1.0], budget) == (False,)


def test_many_things_of_a_few_costs_are_quick() -> None:
    # a BERT of 24 layers
    values, costs = [], []
    for layer in range(24):
        values += [1.0 + ((7 * layer + place) % 11) / 10 for place in range(6)]
        costs += [1.0, 1.0, 1.0, 1.0, 4.0, 4.0]
    taken = choose([*values, 3.0, 0.5], [*costs, 30.5, 1.0], 100.0)
    assert sum(cost for cost, take in zip([*costs, 30.5, 1.0], taken, strict=True) if take) <= 100.0
    assert sum(taken) > 50
