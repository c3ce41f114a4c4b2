from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bebertlab.kernels.thresholds import BitRule, count_thresholds, has_two_sides, sum_thresholds

FloatArray = NDArray[np.float32]
FLOATS = st.floats(-4, 4, width=32)


BORDERS = st.sampled_from([0.0, 0.25, float(np.nextafter(np.float32(0), np.float32(1)))])


def decided(thresholds: NDArray[np.int32], columns: int) -> NDArray[np.bool_]:
    """As the generated code decides: by sign bits."""
    counts = np.arange(columns + 1) + thresholds[:, :1]
    return (counts | (thresholds[:, 1:] - counts)) < 0


def dip(y: FloatArray) -> FloatArray:
    """Is negative between two numbers."""
    return np.where(y < -2.5, -y, y)


def relu(y: FloatArray) -> FloatArray:
    return np.maximum(y, np.float32(0))


ACTIVATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "relu": {"activation": relu},
    "dip": {"activation": dip, "nondecreasing": False},
}


def expected(
    scale: FloatArray, bias: FloatArray, columns: int, rule: BitRule, starts: NDArray[np.int64] | None = None
) -> NDArray[np.bool_]:
    sums = ((columns if starts is None else starts[:, None]) - 2 * np.arange(columns + 1)).astype(np.float32)
    values = sums * scale[:, None] + bias[:, None]
    if rule.activation is not None:
        values = rule.activation(values)
    return (values if rule.shift is None else values + rule.shift[:, None]) >= rule.border


@given(
    rows=st.lists(st.tuples(FLOATS, FLOATS, FLOATS), min_size=1, max_size=5),
    columns=st.integers(1, 70),
    activation=st.sampled_from([*ACTIVATIONS]),
    border=BORDERS,
    shifted=st.booleans(),
    zero_one=st.booleans(),
)
def test_counts_decide_as_floats_do(
    rows: list[tuple[float, float, float]], columns: int, activation: str, border: float, shifted: bool, zero_one: bool
) -> None:
    scale, bias, shift = np.array(rows, np.float32).T
    rule = BitRule(**ACTIVATIONS[activation], shift=shift if shifted else None, border=np.float32(border))
    starts = 2 * np.arange(len(rows)) if zero_one else None
    thresholds = count_thresholds(scale, bias, columns, rule, starts)
    np.testing.assert_array_equal(decided(thresholds, columns), expected(scale, bias, columns, rule, starts))


def test_ties_count_as_positive() -> None:
    scale = np.array([0.1, 0.1, 0.1, 0.0, 0.0, 1e-45], np.float32)
    bias = np.array([-0.8, np.nextafter(np.float32(-0.8), -1), -0.0, -0.0, -1e-45, 0.0], np.float32)
    thresholds = count_thresholds(scale, bias, 8)
    np.testing.assert_array_equal(decided(thresholds, 8), expected(scale, bias, 8, BitRule()))
    assert decided(thresholds, 8).sum(1).tolist() == [1, 0, 5, 9, 0, 5]


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_bisection_agrees_with_all_counts(activation: str) -> None:
    rng = np.random.default_rng(0)
    scale = np.abs(rng.standard_normal(300)).astype(np.float32)
    bias, shift = (rng.standard_normal(300).astype(np.float32) * 9 for _ in range(2))
    rule = BitRule(**ACTIVATIONS[activation], shift=shift)
    every = count_thresholds(scale, bias, 768, evolve(rule, nondecreasing=False))
    np.testing.assert_array_equal(decided(count_thresholds(scale, bias, 768, rule), 768), decided(every, 768))


@pytest.mark.parametrize(("scale", "activation", "two"), [(1, "none", False), (-1, "none", True), (1, "dip", True)])
def test_which_thresholds_have_two_sides(scale: int, activation: str, two: bool) -> None:
    rows = np.full(3, scale, np.float32)
    rule = BitRule(**ACTIVATIONS[activation])
    assert has_two_sides(count_thresholds(rows, 0 * rows, 8, rule), 8) == two


def test_bits_that_two_thresholds_cannot_decide() -> None:
    def waves(y: FloatArray) -> FloatArray:
        return np.abs(y) % 4 - 1

    rule = BitRule(activation=waves, nondecreasing=False)
    with pytest.raises(ValueError, match="more than twice"):
        count_thresholds(np.ones(1, np.float32), np.zeros(1, np.float32), 8, rule)


@given(
    scale=st.floats(2.0**-120, 4, width=32),
    shift=st.lists(FLOATS, min_size=1, max_size=5),
    border=BORDERS,
)
def test_sums_decide_as_floats_do(scale: float, shift: list[float], border: float) -> None:
    rule = BitRule(shift=np.array(shift, np.float32), border=np.float32(border))
    sums = np.arange(-600, 601)
    values = sums.astype(np.float32) * np.float32(scale) + np.array(shift, np.float32)[:, None]
    thresholds = sum_thresholds(np.float32(scale), len(shift), rule)
    np.testing.assert_array_equal(sums >= thresholds[:, None], values >= np.float32(border))


def test_ties_of_sums_count_as_positive() -> None:
    rule = BitRule(shift=np.array([-0.5, np.nextafter(np.float32(-0.5), -1), 0.5, -1e9, 1e9], np.float32))
    assert sum_thresholds(np.float32(0.25), 5, rule).tolist() == [2, 3, -2, 2**24 + 1, -(2**24)]
    assert sum_thresholds(np.float32(0), 2, BitRule(shift=np.array([0, -1], np.float32))).tolist() == [
        -(2**24),
        2**24 + 1,
    ]


@pytest.mark.parametrize("rule", [BitRule(nondecreasing=False), BitRule()])
def test_sums_whose_results_do_not_grow_have_no_threshold(rule: BitRule) -> None:
    with pytest.raises(ValueError, match="one threshold only where results grow"):
        sum_thresholds(np.float32(-1 if rule.nondecreasing else 1), 1, rule)
