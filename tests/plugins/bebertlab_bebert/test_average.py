from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.errors import UserError
from bebertlab.testing.merger import check_merger
from bebertlab_bebert.average import WeightedMean, WeightedMeanOptions, WeightedMedian, WeightedMedianOptions

if TYPE_CHECKING:
    from tests.conftest import Golden


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


def test_the_mean_matches_the_bagged_regression_of_the_reference(golden: Callable[[str], Golden]) -> None:
    tensors = golden("boosting").tensors
    logits, expected = (tensors[f"combine.bagging_regression/{f}"].double().numpy() for f in ("logits", "combined"))
    assert np.allclose(WeightedMean().merge(logits, np.ones(2))[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_the_mean_matches_the_boosted_regression_of_the_reference_up_to_its_scale(
    golden: Callable[[str], Golden],
) -> None:
    tensors = golden("boosting").tensors
    logits, beta, expected = (
        tensors[f"combine.regression_two_members/{f}"].double().numpy() for f in ("logits", "alpha", "combined")
    )
    weights = -np.log(beta)
    merged = WeightedMean().merge(logits, weights)[:, 0]
    assert np.allclose(merged * weights.sum() / 2, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["weighted_sum_binary", "weighted_sum_three_class"])
def test_the_mean_decides_as_the_weighted_logits_of_the_reference(golden: Callable[[str], Golden], name: str) -> None:
    tensors = golden("boosting").tensors
    logits, weights, expected, decided = (
        tensors[f"combine.{name}/{f}"].double().numpy() for f in ("logits", "alpha", "combined", "argmax")
    )
    merged = WeightedMean().merge(logits, weights)
    assert np.allclose(merged * weights.sum(), expected, rtol=1e-5, atol=1e-5)
    assert (merged.argmax(axis=1) == decided).all()


def test_the_mean_decides_as_the_bagged_logits_of_the_reference(golden: Callable[[str], Golden]) -> None:
    tensors = golden("boosting").tensors
    logits, decided = (tensors[f"combine.bagging_classification/{f}"].double().numpy() for f in ("logits", "combined"))
    assert (WeightedMean().merge(logits, np.ones(2)).argmax(axis=1) == decided).all()
