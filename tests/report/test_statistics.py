from __future__ import annotations

import gc
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bebertlab.report.statistics import correlation, detectable, estimate, holm, interval, ratio, welch

NUMBERS = st.floats(-1e3, 1e3, allow_nan=False)


def test_confidence_interval_matches_manual_calculation() -> None:
    shown = interval([84.0, 86.0, 85.0])
    # t(2) at 0.975 is 4.302653, s = 1, n = 3
    assert shown.half == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)
    assert (shown.mean, shown.count) == (85.0, 3)


@pytest.mark.parametrize(
    "values", [[1.0], [2.0, 2.0, 2.0], [0.0, 0.0], [0.1 + 0.2, 0.3, 0.3], [1.0, 2.0, math.inf], [1.0, 2.0, math.nan]]
)
def test_without_a_spread_there_are_no_bounds(values: list[float]) -> None:
    shown = interval(values)
    assert (shown.low, shown.high, shown.half, shown.excludes_zero) == (None, None, None, False)
    assert (estimate(values).p, estimate(values).detectable) == (None, None)


def test_two_values_give_bounds_and_a_test() -> None:
    # t(1) at 0.975 is 12.706205, s / sqrt(n) = 0.5
    shown = estimate([1.0, 2.0])
    assert (shown.interval.low, shown.interval.high) == pytest.approx((1.5 - 6.3531, 1.5 + 6.3531), abs=1e-4)
    assert shown.p == pytest.approx(stats.ttest_1samp([1.0, 2.0], 0.0).pvalue)


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
def test_null_intervals_have_their_nominal_coverage(seeds: int) -> None:
    draws = np.random.default_rng(7).normal(0, 1.3, (2000, seeds))
    covered = sum(not interval(draw.tolist()).excludes_zero for draw in draws)
    # three standard errors of a proportion of 2,000
    assert covered / 2000 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 2000))


def test_holm_keeps_the_error_of_a_family_of_null_comparisons() -> None:
    # three arms: the three differences are dependent, as those of a question are
    first, second, third = np.random.default_rng(3).normal(0, 1, (3, 1500, 4))
    pairs = (second - first, third - first, third - second)
    families = stats.ttest_1samp(pairs, 0.0, axis=2).pvalue.T.tolist()
    shown = sum(any(p is not None and p < 0.05 for p in holm(family)) for family in families)
    assert shown / 1500 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1500)


def test_holm_matches_manual_calculation() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == (0.04, None, 0.09, 0.09)
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([0.02, 0.02]) == (0.04, 0.04)


def test_holm_without_p_values_is_empty() -> None:
    assert holm([]) == ()
    assert holm([None, None]) == (None, None)


def test_holm_leaves_the_garbage_collector_unchanged() -> None:
    assert gc.get_freeze_count() == 0
    holm([0.01, 0.02])
    assert gc.get_freeze_count() == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(values: list[float]) -> None:
    adjusted = [p for p in holm(values) if p is not None]
    assert all(new >= old for new, old in zip(adjusted, values, strict=True))
    assert sorted(range(len(values)), key=lambda i: (adjusted[i], values[i])) == sorted(
        range(len(values)), key=lambda i: values[i]
    )


def test_the_detectable_difference_has_a_power_of_80_percent() -> None:
    seeds, spread = 5, 1.0
    truth = detectable(spread / math.sqrt(seeds), seeds - 1)
    draws = np.random.default_rng(11).normal(truth, spread, (2000, seeds))
    errors = draws.std(axis=1, ddof=1) / math.sqrt(seeds)
    shown = np.mean(2 * stats.t.sf(np.abs(draws.mean(axis=1) / errors), seeds - 1) < 0.05)
    assert shown == pytest.approx(0.8, abs=3 * math.sqrt(0.8 * 0.2 / 2000))


@pytest.mark.parametrize("degrees", [1, 1.3, 2, 4, 29])
@pytest.mark.parametrize("comparisons", [1, 2, 45])
def test_detectable_difference_has_the_power_at_few_degrees_of_freedom_and_many_comparisons(
    degrees: float, comparisons: int
) -> None:
    critical = stats.t.ppf(1 - 0.05 / (2 * comparisons), degrees)
    assert stats.nct.sf(critical, degrees, detectable(1.0, degrees, comparisons)) == pytest.approx(0.8, abs=1e-4)


def test_more_comparisons_need_a_larger_difference() -> None:
    assert detectable(1.0, 2, 3) > detectable(1.0, 2, 1) > 4.3


def test_welch_equals_scipy() -> None:
    compared, reference = [3.0, 4.0, 5.5, 6.0], [1.0, 1.5, 1.2]
    result, reference = welch(compared, reference), stats.ttest_ind(compared, reference, equal_var=False)
    bounds = reference.confidence_interval(0.95)
    assert result.p == pytest.approx(reference.pvalue)
    assert (result.interval.low, result.interval.high) == pytest.approx((bounds.low, bounds.high))
    assert result.interval.count == 3


def test_welch_without_a_spread_gives_the_difference_only() -> None:
    assert welch([2.0], [1.0, 3.0]).interval.low is None
    assert welch([2.0, 2.0], [1.0, 1.0]).p is None
    assert welch([2.0, 2.0], [1.0, 1.0]).interval.mean == 1.0


def test_welch_with_a_spread_on_one_side_is_the_test_of_that_side() -> None:
    compared = [3.0, 4.0, 5.5]
    one_sided = welch(compared, [1.0, 1.0])
    assert one_sided.p == pytest.approx(stats.ttest_1samp(compared, 1.0).pvalue)


def test_ratio_is_geometric() -> None:
    shown = ratio([2.0, 8.0], [1.0, 1.0])
    assert shown is not None
    assert shown.mean == pytest.approx(4.0)
    assert shown.low is not None
    assert shown.high is not None
    assert shown.low * shown.high == pytest.approx(16.0)
    assert ratio([0.0], [1.0]) is None
    unbounded = ratio([1e150, 1e-150], [1e-150, 1e150])
    assert unbounded is not None
    assert (unbounded.low, unbounded.high) == (0.0, math.inf)


def test_correlation_equals_that_of_scipy() -> None:
    noise = np.random.default_rng(0)
    x, y = noise.integers(0, 5, 20).astype(float).tolist(), noise.normal(size=20).tolist()
    shown = correlation(x, y)
    assert shown is not None
    assert shown.mean == pytest.approx(stats.spearmanr(x, y).statistic)
    rising = correlation([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 4.0, 9.0, 16.0, 25.0])
    assert rising is not None
    assert rising.mean == pytest.approx(1.0)
    assert rising.high is not None
    assert rising.high <= 1.0
    assert correlation([1.0] * 6, list(range(6))) is None
    assert correlation([1.0, 2.0], [1.0, 2.0]) is None
