from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bebertlab.report.statistics import correlation, detectable, estimate, holm, interval, ratio, two_sided, welch

NUMBERS = st.floats(-1e3, 1e3, allow_nan=False)


def test_interval_by_hand() -> None:
    shown = interval([84.0, 86.0, 85.0])
    # t(2) at 0.975 is 4.302653, s = 1, n = 3
    assert shown.half == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)
    assert (shown.mean, shown.count) == (85.0, 3)


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0, 2.0], [0.1 + 0.2, 0.3, 0.3]])
def test_without_spread_there_are_no_bounds(values: list[float]) -> None:
    shown = interval(values)
    assert (shown.low, shown.high, shown.half, shown.excludes_zero) == (None, None, None, False)
    assert estimate(values).p is None


@given(st.lists(NUMBERS, min_size=3, max_size=8, unique=True), NUMBERS)
def test_interval_moves_with_the_values(values: list[float], shift: float) -> None:
    here, there = interval(values), interval([value + shift for value in values])
    if here.half is not None and there.half is not None:
        assert there.mean == pytest.approx(here.mean + shift, abs=1e-6)
        assert there.half == pytest.approx(here.half, rel=1e-4, abs=1e-6)


def test_p_value_is_that_of_the_t_test() -> None:
    values = [0.3, -0.1, 0.8, 0.5]
    assert estimate(values).p == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)


@pytest.mark.parametrize("seeds", [3, 5])
def test_null_intervals_cover_zero_as_often_as_they_say(seeds: int) -> None:
    draws = np.random.default_rng(7).normal(0, 1.3, (2000, seeds))
    covered = sum(not interval(draw.tolist()).excludes_zero for draw in draws)
    # three standard errors of a proportion of 2,000
    assert covered / 2000 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 2000))


def test_holm_keeps_the_error_of_a_family_of_null_comparisons() -> None:
    noise = np.random.default_rng(3)
    shown = 0
    for _ in range(1500):
        # three arms: the three differences are dependent, as those of a question are
        arms = noise.normal(0, 1, (4, 3))
        pairs = (arms[:, 1] - arms[:, 0], arms[:, 2] - arms[:, 0], arms[:, 2] - arms[:, 1])
        adjusted = holm([estimate(pair.tolist()).p for pair in pairs])
        shown += any(p is not None and p < 0.05 for p in adjusted)
    assert shown / 1500 <= 0.05 + 3 * math.sqrt(0.95 * 0.05 / 1500)


def test_holm_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == (0.04, None, 0.09, 0.09)
    assert holm([0.9, 0.8]) == (1.0, 1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_never_helps_and_keeps_the_order(values: list[float]) -> None:
    adjusted = [p for p in holm(values) if p is not None]
    assert all(new >= old for new, old in zip(adjusted, values, strict=True))
    assert sorted(range(len(values)), key=lambda i: (adjusted[i], values[i])) == sorted(
        range(len(values)), key=lambda i: values[i]
    )


def test_detectable_difference_is_found_four_times_in_five() -> None:
    seeds, spread = 5, 1.0
    truth = detectable(spread / math.sqrt(seeds), seeds - 1)
    draws = np.random.default_rng(11).normal(truth, spread, (2000, seeds))
    errors = draws.std(axis=1, ddof=1) / math.sqrt(seeds)
    found = np.mean([two_sided(t, seeds - 1) < 0.05 for t in draws.mean(axis=1) / errors])
    assert found == pytest.approx(0.8, abs=3 * math.sqrt(0.8 * 0.2 / 2000))


def test_more_comparisons_need_a_larger_difference() -> None:
    assert detectable(1.0, 2, 3) > detectable(1.0, 2, 1) > 4.3


def test_welch_is_the_reference() -> None:
    ours, theirs = [3.0, 4.0, 5.5, 6.0], [1.0, 1.5, 1.2]
    made, reference = welch(ours, theirs), stats.ttest_ind(ours, theirs, equal_var=False)
    bounds = reference.confidence_interval(0.95)
    assert made.p == pytest.approx(reference.pvalue)
    assert (made.interval.low, made.interval.high) == pytest.approx((bounds.low, bounds.high))
    assert made.interval.count == 3


def test_welch_with_too_little_says_only_the_difference() -> None:
    assert welch([2.0], [1.0, 3.0]).interval.low is None
    assert welch([2.0, 2.0], [1.0, 1.0]).p is None


def test_ratio_is_geometric() -> None:
    shown = ratio([2.0, 8.0], [1.0, 1.0])
    assert shown is not None
    assert shown.mean == pytest.approx(4.0)
    assert shown.low is not None
    assert shown.high is not None
    assert shown.low * shown.high == pytest.approx(16.0)
    assert ratio([0.0], [1.0]) is None


def test_correlation_is_spearmans() -> None:
    noise = np.random.default_rng(0)
    x, y = noise.integers(0, 5, 20).astype(float).tolist(), noise.normal(size=20).tolist()
    shown = correlation(x, y)
    assert shown is not None
    assert shown.mean == pytest.approx(stats.spearmanr(x, y).statistic)
    assert correlation([1.0] * 6, list(range(6))) is None
    assert correlation([1.0, 2.0], [1.0, 2.0]) is None
