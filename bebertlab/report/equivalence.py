"""Which points are not shown to be worse than the best one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bebertlab.interfaces.events import StudyRecord
from bebertlab.report.points import Point, objective
from bebertlab.report.statistics import LEVEL, MINIMUM_SEEDS, holm, two_sided


def ties(study: StudyRecord, points: Sequence[Point]) -> frozenset[int]:
    """Numbers of the points that are not shown to be worse than the best; empty where too few seeds say anything.

    t = mean difference over the shared seeds / (s * sqrt(2 / seeds)), s the residual spread of the model
    score = point + seed over the points that have every seed; corrected for the number of points (Holm).
    The best was picked by its score, which flatters it: others are called worse rather too often.
    """
    scores = [_scores(study, point) for point in points if point.score is not None]
    if len(scores) < 2 or len(scores[0]) < MINIMUM_SEEDS:
        return frozenset()
    spread, degrees = _residual(scores)
    if not spread:
        return frozenset()
    adjusted = holm([_p(scores[0], other, spread, degrees) for other in scores[1:]])
    return frozenset(place for place, p in enumerate(adjusted, start=2) if p is None or p >= 1 - LEVEL)


def _scores(study: StudyRecord, point: Point) -> dict[int, float]:
    found = {seed: objective(study, trial) for seed, trial in point.trials.items()}
    return {seed: value for seed, value in found.items() if value is not None}


def _residual(scores: Sequence[dict[int, float]]) -> tuple[float, int]:
    """Standard deviation and degrees of freedom of what point and seed do not explain."""
    seeds = set().union(*scores)
    full = [[of_point[seed] for seed in sorted(seeds)] for of_point in scores if len(of_point) == len(seeds)]
    degrees = (len(full) - 1) * (len(seeds) - 1)
    if degrees < 1:
        return 0.0, 0
    rows = [math.fsum(row) / len(row) for row in full]
    columns = [math.fsum(column) / len(column) for column in zip(*full, strict=True)]
    grand = math.fsum(rows) / len(rows)
    squares = ((value - rows[i] - columns[j] + grand) ** 2 for i, row in enumerate(full) for j, value in enumerate(row))
    return math.sqrt(math.fsum(squares) / degrees), degrees


def _p(best: dict[int, float], other: dict[int, float], spread: float, degrees: int) -> float | None:
    shared = set(best) & set(other)
    if not shared:
        return None
    mean = math.fsum(best[seed] - other[seed] for seed in shared) / len(shared)
    return two_sided(mean / (spread * math.sqrt(2 / len(shared))), degrees)
