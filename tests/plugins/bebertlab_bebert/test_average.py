from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.errors import UserError
from bebertlab.testing.ensemble import check_merger
from bebertlab_bebert.average import WeightedMean, WeightedMeanOptions, WeightedMedian, WeightedMedianOptions

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_the_mean_keeps_the_contract(classes: int) -> None:
    check_merger(WeightedMeanOptions(), classes)


def test_the_median_keeps_the_contract() -> None:
    check_merger(WeightedMedianOptions(), 1)


def test_the_mean_by_hand() -> None:
    assert WeightedMean().merge(np.array([[[1.0]], [[5.0]]]), np.array([3.0, 1.0])).tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([1, 1, 1], 2.0), ([5, 1, 1], 1.0), ([1, 1, 5], 9.0), ([2, 1, 1], 1.0), ([1, 1, 2], 2.0)],
)
def test_the_median_by_hand(weights: list[float], expected: float) -> None:
    values = np.array([1.0, 2.0, 9.0])
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        merged = WeightedMedian().merge(values[order][:, None, None], np.array(weights, dtype=float)[order])
        assert merged.tolist() == [[expected]]


members = st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 9)), min_size=1, max_size=7)


@given(members)
def test_the_median_is_that_of_members_repeated_by_weight(members: list[tuple[float, int]]) -> None:
    repeated = sorted(value for value, weight in members for _ in range(weight))
    lower_median = repeated[(len(repeated) - 1) // 2]
    values, weights = (np.array(column, dtype=float) for column in zip(*members, strict=True))
    assert WeightedMedian().merge(values[:, None, None], weights).item() == lower_median


def test_the_median_of_classes_is_refused() -> None:
    with pytest.raises(UserError, match="'weighted_median' is for regression and the task has 3 classes"):
        WeightedMedianOptions().build(3)
