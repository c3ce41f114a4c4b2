"""Intervals over seeds, their correction for several comparisons, and what a study of this size can show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attrs import frozen

LEVEL = 0.95  #: of every interval in a report
POWER = 0.8  #: with which a difference of the stated detectable size would have been shown
MINIMUM_SEEDS = 3  #: below this nothing is claimed


@frozen
class Interval:
    """A mean with its interval; the bounds are None where there is nothing to estimate them from."""

    mean: float
    low: float | None
    high: float | None
    count: int  #: independent values behind it: seeds, or points where it says so

    @property
    def half(self) -> float | None:
        """Half the width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Zero lies outside the bounds (False where there are none)."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@frozen
class Estimate:
    """A difference with what a test of "it is zero" says about it."""

    interval: Interval
    p: float | None  #: two-sided; None where it cannot be computed
    detectable: float | None  #: difference that would have been shown with probability `POWER`


def interval(values: Sequence[float]) -> Interval:
    """Mean and t-interval of independent values: mean +- t(n-1) * s / sqrt(n).

    Equal values give no bounds: what does not vary says nothing about how much it could.

    >>> interval([1.0, 2.0, 3.0]).mean, round(interval([1.0, 2.0, 3.0]).half, 3)
    (2.0, 2.484)
    >>> interval([5.0])
    Interval(mean=5.0, low=None, high=None, count=1)
    """
    mean = math.fsum(values) / len(values)
    error = _standard_error(values)
    if error is None:
        return Interval(mean, None, None, len(values))
    half = _quantile(len(values) - 1, (1 + LEVEL) / 2) * error
    return Interval(mean, mean - half, mean + half, len(values))


def estimate(values: Sequence[float], comparisons: int = 1) -> Estimate:
    """The mean of independent differences, tested against zero; `comparisons` are made at once."""
    shown = interval(values)
    error = _standard_error(values)
    if error is None:
        return Estimate(shown, None, None)
    degrees = len(values) - 1
    return Estimate(shown, two_sided(shown.mean / error, degrees), detectable(error, degrees, comparisons))


def welch(ours: Sequence[float], theirs: Sequence[float], comparisons: int = 1) -> Estimate:
    """The difference of two means of independent values with unequal variances (Welch 1947)."""
    difference = math.fsum(ours) / len(ours) - math.fsum(theirs) / len(theirs)
    count = min(len(ours), len(theirs))
    if count < 2:
        return Estimate(Interval(difference, None, None, count), None, None)
    errors = [(_standard_error(values) or 0.0) ** 2 for values in (ours, theirs)]
    error = math.sqrt(sum(errors))
    if error == 0:
        return Estimate(Interval(difference, None, None, count), None, None)
    spread = sum(e**2 / (len(v) - 1) for e, v in zip(errors, (ours, theirs), strict=True))
    degrees = sum(errors) ** 2 / spread
    half = _quantile(degrees, (1 + LEVEL) / 2) * error
    shown = Interval(difference, difference - half, difference + half, count)
    return Estimate(shown, two_sided(difference / error, degrees), detectable(error, degrees, comparisons))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval | None:
    """Geometric mean of the ratios of paired positive values, with the t-interval of their logarithms.

    >>> ratio([2.0, 8.0], [1.0, 2.0]).mean.__round__(6)
    2.828427
    """
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a > 0 and b > 0]
    if not pairs:
        return None
    logs = interval([math.log(a / b) for a, b in pairs])
    bounds = [None if bound is None else _bounded_exp(bound) for bound in (logs.low, logs.high)]
    return Interval(math.exp(logs.mean), bounds[0], bounds[1], logs.count)


def two_sided(t: float, degrees: float) -> float:
    """The p-value of a t statistic."""
    from scipy.special import stdtr

    return float(2 * stdtr(degrees, -abs(t)))


def holm(values: Sequence[float | None]) -> tuple[float | None, ...]:
    """P-values corrected for their number (Holm 1979); None stays None but counts as a comparison.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = sorted((p, place) for place, p in enumerate(values) if p is not None)
    corrected: dict[int, float] = {}
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * p))
        corrected[place] = highest
    return tuple(corrected.get(place) for place in range(len(values)))


def detectable(error: float, degrees: float, comparisons: int = 1) -> float:
    """The true difference that a two-sided t-test shows with probability `POWER`, given the standard error found.

    The noncentrality at which t(degrees, noncentrality) exceeds the critical value with that probability, times
    the error. The level is that of the first step of Holm's correction: (1 - LEVEL) / comparisons.
    """
    from scipy.special import nctdtrinc

    critical = _quantile(degrees, 1 - (1 - LEVEL) / (2 * comparisons))
    return float(nctdtrinc(degrees, 1 - POWER, critical)) * error


def correlation(x: Sequence[float], y: Sequence[float]) -> Interval | None:
    """Spearman's rank correlation with Fisher's interval (standard error 1.03 / sqrt(n - 3)); None below 5 points."""
    from scipy.special import ndtri

    if len(x) < 5 or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    value = _pearson(_ranks(x), _ranks(y))
    middle = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, value)))
    half = float(ndtri((1 + LEVEL) / 2)) * 1.03 / math.sqrt(len(x) - 3)
    return Interval(value, math.tanh(middle - half), math.tanh(middle + half), len(x))


def _standard_error(values: Sequence[float]) -> float | None:
    if len(values) < 2 or len(set(values)) == 1:
        return None
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    # differences that are equal but for the last bits of a float do not vary either
    if math.sqrt(variance) <= 1e-12 * max(abs(value) for value in values):
        return None
    return math.sqrt(variance / len(values))


def _quantile(degrees: float, probability: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def _bounded_exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, equal values share their mean rank."""
    ordered = sorted(values)
    first: dict[float, int] = {}
    for place, value in enumerate(ordered):
        first.setdefault(value, place)
    return [first[value] + (ordered.count(value) + 1) / 2 for value in values]


def _pearson(x: Sequence[float], y: Sequence[float]) -> float:
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    shared = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    spread = math.fsum((a - mean_x) ** 2 for a in x) * math.fsum((b - mean_y) ** 2 for b in y)
    return shared / math.sqrt(spread)
