"""Which points are not shown to be worse than the best one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from bebertlab.interfaces.events import StudyRecord
from bebertlab.report.points import Point, objective
from bebertlab.report.statistics import LEVEL, MINIMUM_SEEDS, ROUNDING, holm


def ties(study: StudyRecord, points: Sequence[Point]) -> frozenset[int]:
    """Numbers of the points that are not shown to be worse than the best; empty with too few seeds or no spread.

    t = mean difference over the shared seeds / (s * sqrt(2 / seeds)), s the residual spread of the model
    score = point + seed over the points that have every seed; corrected for the number of points (Holm).
    The best point was picked by its score, which flatters it: others are called worse rather too often.
    """
    scores = [_scores(study, point) for point in points if point.score is not None]
    if len(scores) < 2 or len(scores[0]) < MINIMUM_SEEDS:
        return frozenset()
    spread, degrees = _residual(scores)
    if not spread:
        return frozenset()
    adjusted = holm([_p(scores[0], other, spread, degrees) for other in scores[1:]])
    return frozenset(number for number, p in enumerate(adjusted, start=2) if p is None or p >= 1 - LEVEL)


def _scores(study: StudyRecord, point: Point) -> dict[int, float]:
    values = {seed: objective(study, trial) for seed, trial in point.trials.items()}
    return {seed: value for seed, value in values.items() if value is not None}


def _residual(scores: Sequence[dict[int, float]]) -> tuple[float, int]:
    """Standard deviation and degrees of freedom of what point and seed do not explain."""
    seeds = sorted(set().union(*scores))
    full = np.array([[of_point[seed] for seed in seeds] for of_point in scores if len(of_point) == len(seeds)])
    degrees = (len(full) - 1) * (len(seeds) - 1)
    if degrees < 1:
        return 0.0, 0
    # a balanced table: centring its rows and columns is the least-squares fit, without a design matrix of every point
    residuals = full - full.mean(axis=1, keepdims=True) - full.mean(axis=0) + full.mean()
    spread = math.sqrt(np.square(residuals).sum() / degrees)
    return (spread if spread > ROUNDING * np.abs(full).max() else 0.0), degrees


def _p(best: dict[int, float], other: dict[int, float], spread: float, degrees: int) -> float | None:
    from scipy.special import stdtr

    shared = set(best) & set(other)
    if not shared:
        return None
    t = fmean(best[seed] - other[seed] for seed in shared) / (spread * math.sqrt(2 / len(shared)))
    return float(2 * stdtr(degrees, -abs(t)))
