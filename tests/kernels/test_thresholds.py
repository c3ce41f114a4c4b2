from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bebertlab.kernels.thresholds import BitRule, count_thresholds, has_two_sides

FloatArray = NDArray[np.float32]
FLOATS = st.floats(-4, 4, width=32)


def decided(thresholds: NDArray[np.int32], columns: int) -> NDArray[np.bool_]:
    """As the generated code decides: by sign bits."""
    counts = np.arange(columns + 1) + thresholds[:, :1]
    return (counts | (thresholds[:, 1:] - counts)) < 0


def expected(scale: FloatArray, bias: FloatArray, columns: int, rule: BitRule | None) -> NDArray[np.bool_]:
    sums = (columns - 2 * np.arange(columns + 1)).astype(np.float32)
    values = sums * scale[:, None] + bias[:, None]
    return values >= 0 if rule is None else rule(values)


def below_or_above(y: FloatArray) -> NDArray[np.bool_]:
    return (y >= 0.125) | (y < -0.5)


@given(
    rows=st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=5),
    columns=st.integers(1, 70),
    rule=st.sampled_from([None, below_or_above]),
)
def test_counts_decide_as_floats_do(rows: list[tuple[float, float]], columns: int, rule: BitRule | None) -> None:
    scale, bias = np.array(rows, np.float32).T
    thresholds = count_thresholds(scale, bias, columns, rule)
    np.testing.assert_array_equal(decided(thresholds, columns), expected(scale, bias, columns, rule))


def test_ties_count_as_positive() -> None:
    scale = np.array([0.1, 0.1, 0.1, 0.0, 0.0, 1e-45], np.float32)
    bias = np.array([-0.8, np.nextafter(np.float32(-0.8), -1), -0.0, -0.0, -1e-45, 0.0], np.float32)
    thresholds = count_thresholds(scale, bias, 8)
    np.testing.assert_array_equal(decided(thresholds, 8), expected(scale, bias, 8, None))
    assert decided(thresholds, 8).sum(1).tolist() == [1, 0, 5, 9, 0, 5]


def test_bisection_agrees_with_all_counts() -> None:
    rng = np.random.default_rng(0)
    scale, bias = np.abs(rng.standard_normal(300)).astype(np.float32), rng.standard_normal(300).astype(np.float32) * 9
    every = count_thresholds(scale, bias, 768, lambda y: y >= 0)
    np.testing.assert_array_equal(count_thresholds(scale, bias, 768), every)


@pytest.mark.parametrize(("scale", "rule", "two"), [(1, None, False), (-1, None, True), (1, below_or_above, True)])
def test_which_thresholds_have_two_sides(scale: int, rule: BitRule | None, two: bool) -> None:
    rows = np.full(3, scale, np.float32)
    assert has_two_sides(count_thresholds(rows, 0 * rows, 8, rule), 8) == two


def test_bits_that_two_thresholds_cannot_decide() -> None:
    with pytest.raises(ValueError, match="more than twice"):
        count_thresholds(np.ones(1, np.float32), np.zeros(1, np.float32), 8, lambda y: np.abs(y) % 4 == 0)
