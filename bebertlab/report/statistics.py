"""Intervals over seeds, their correction for several comparisons, and what a study of this size can show.

scipy and statsmodels compute. This module adds what they lack: which values give no interval, the interval of a rank
correlation, and the difference that a test can detect (see `detectable`).
"""

from __future__ import annotations

import gc
import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from attrs import frozen

LEVEL = 0.95  #: of every interval in a report
POWER = 0.8  #: with which a difference of the stated detectable size would have been shown
MINIMUM_SEEDS = 3  #: with fewer seeds no conclusion is drawn
ROUNDING = 1e-12  #: a spread below this fraction of the largest value is rounding, not variance over seeds


@frozen
class Interval:
    """A mean with its interval; the bounds are None where they cannot be estimated."""

    mean: float
    low: float | None
    high: float | None
    count: int  #: number of independent values: seeds, or points in an unpaired comparison or a correlation

    @property
    def half(self) -> float | None:
        """Half the width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether zero is outside the bounds; False without bounds."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@frozen
class Estimate:
    """A difference and its test against zero."""

    interval: Interval
    p: float | None  #: two-sided; None where it cannot be computed
    detectable: float | None  #: true difference that the test would show with probability `POWER`


def interval(values: Sequence[float]) -> Interval:
    """Mean and t-interval of independent values.

    Equal values give no bounds, as their spread cannot be estimated; nor does a single value.

    >>> interval([1.0, 2.0, 3.0]).mean, round(interval([1.0, 2.0, 3.0]).half, 3)
    (2.0, 2.484)
    >>> interval([5.0])
    Interval(mean=5.0, low=None, high=None, count=1)
    """
    if not _varies(values):
        return Interval(fmean(values), None, None, len(values))
    from statsmodels.stats.weightstats import DescrStatsW

    low, high = DescrStatsW(values).tconfint_mean(1 - LEVEL)
    return Interval(fmean(values), float(low), float(high), len(values))


def estimate(values: Sequence[float], comparisons: int = 1) -> Estimate:
    """The mean of independent differences and its t-test against zero, one of `comparisons` made at once."""
    if not _varies(values):
        return Estimate(interval(values), None, None)
    from statsmodels.stats.weightstats import DescrStatsW

    sample = DescrStatsW(values)
    _, p, degrees = sample.ttest_mean()
    return Estimate(interval(values), float(p), detectable(float(sample.std_mean), float(degrees), comparisons))


def welch(compared: Sequence[float], reference: Sequence[float], comparisons: int = 1) -> Estimate:
    """The difference of two means of independent values with unequal variances (Welch 1947)."""
    difference, count = fmean(compared) - fmean(reference), min(len(compared), len(reference))
    if count < 2 or not (_varies(compared) or _varies(reference)):
        return Estimate(Interval(difference, None, None, count), None, None)
    from statsmodels.stats.weightstats import CompareMeans

    samples = CompareMeans.from_data(compared, reference)
    _, p, degrees = samples.ttest_ind(usevar="unequal")
    low, high = samples.tconfint_diff(1 - LEVEL, usevar="unequal")
    error = float(samples.std_meandiff_separatevar)
    shown = Interval(difference, float(low), float(high), count)
    return Estimate(shown, float(p), detectable(error, float(degrees), comparisons))


def ratio(compared: Sequence[float], reference: Sequence[float]) -> Interval | None:
    """Geometric mean of the ratios of paired positive values, with the t-interval of their logarithms.

    >>> ratio([2.0, 8.0], [1.0, 2.0]).mean.__round__(6)
    2.828427
    """
    pairs = [(a, b) for a, b in zip(compared, reference, strict=True) if a > 0 and b > 0]
    if not pairs:
        return None
    logs = interval([math.log(a / b) for a, b in pairs])
    bounds = [None if bound is None else _bounded_exp(bound) for bound in (logs.low, logs.high)]
    return Interval(math.exp(logs.mean), bounds[0], bounds[1], logs.count)


def holm(values: Sequence[float | None]) -> tuple[float | None, ...]:
    """P-values corrected for their number (Holm 1979); None stays None but counts as a comparison.

    >>> holm([0.01, None, 0.04, 0.03])
    (0.04, None, 0.09, 0.09)
    """
    if all(p is None for p in values):
        return tuple(values)
    from statsmodels.stats.multitest import multipletests

    # multipletests collects all garbage, 0.2 s in a process that has imported torch; frozen objects are skipped
    gc.freeze()
    try:
        corrected = multipletests([1.0 if p is None else p for p in values], method="holm")[1]
    finally:
        gc.unfreeze()
    return tuple(None if p is None else float(new) for p, new in zip(values, corrected, strict=True))


def detectable(error: float, degrees: float, comparisons: int = 1) -> float:
    """The true difference that a two-sided t-test shows with probability `POWER`, given its standard error.

    The noncentrality at which t(degrees, noncentrality) exceeds the critical value with that probability, times
    the error. The level is that of the first step of Holm's correction: (1 - LEVEL) / comparisons.
    """
    from scipy.special import nctdtrinc, stdtrit

    # not TTestPower.solve_power of statsmodels: two-sided, it returns wrong values at few degrees of freedom and small
    # levels (2 seeds, 2 comparisons: 14.1 errors instead of 32.6), and it takes no degrees of freedom
    critical = stdtrit(degrees, 1 - (1 - LEVEL) / (2 * comparisons))
    return float(nctdtrinc(degrees, 1 - POWER, critical)) * error


def correlation(x: Sequence[float], y: Sequence[float]) -> Interval | None:
    """Spearman's rank correlation with Fisher's interval (standard error 1.03 / sqrt(n - 3)); None below 5 points.

    Source of the standard error: Fieller, Hartley and Pearson 1957, doi:10.1093/biomet/44.3-4.470.
    """
    if len(x) < 5 or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    from scipy.special import ndtri
    from scipy.stats import spearmanr

    value = float(spearmanr(x, y).statistic)
    middle = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, value)))
    half = float(ndtri((1 + LEVEL) / 2)) * 1.03 / math.sqrt(len(x) - 3)
    return Interval(value, math.tanh(middle - half), math.tanh(middle + half), len(x))


def _varies(values: Sequence[float]) -> bool:
    """Whether a spread can be estimated: several finite values that differ by more than rounding."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return False
    return bool(np.std(values, ddof=1) > ROUNDING * np.abs(values).max())


def _bounded_exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
