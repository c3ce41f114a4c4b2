"""The points of a study, and the trials they give."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from bebertlab.study.study import Point, Study, same, show


@frozen(kw_only=True)
class Trial:
    """One point with one seed."""

    number: int
    point: Point
    seed: int

    @property
    def name(self) -> str:
        """What people call it.

        >>> Trial(number=7, point={"members.size": 2}, seed=1).name
        't007 members.size=2 seed=1'
        """
        return " ".join(filter(None, [f"t{self.number:03d}", show_point(self.point), f"seed={self.seed}"]))


def show_point(point: Point) -> str:
    """A point for people.

    >>> show_point({"members.size": 2, "members.ensemble": "bagging"})
    'members.size=2 members.ensemble=bagging'
    """
    return " ".join(f"{path}={show(value)}" for path, value in point.items())


def grid_points(study: Study) -> tuple[Point, ...]:
    """All combinations of the choices without the excluded ones; the last axis varies fastest."""
    choices = [axis.choice or () for axis in study.search.values()]
    points = (dict(zip(study.search, values, strict=True)) for values in itertools.product(*choices))
    return tuple(point for point in points if not excluded(point, study.exclude))


def count_trials(study: Study) -> str:
    """How many trials a study has, in words."""
    grid = study.sampler.kind == "grid"
    points = len(grid_points(study)) if grid else study.sampler.trials or 0
    found = "" if grid else f" drawn by the sampler {study.sampler.kind}"
    trials, seeds = _some(points * len(study.seeds), "trial"), _some(len(study.seeds), "seed")
    return f"{trials} ({_some(points, 'point')}{found}, {seeds})"


def excluded(point: Point, exclude: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a point matches every line of an item; a line with a list matches any of its values.

    >>> excluded({"a": 1, "b": "x"}, [{"a": [1, 2], "b": "x"}]), excluded({"a": 3}, [{"a": [1, 2]}])
    (True, False)
    """
    return any(all(_matches(point[path], values) for path, values in item.items()) for item in exclude)


def point_trials(study: Study, index: int, point: Point) -> tuple[Trial, ...]:
    """The trials of the study's point number `index`, one a seed."""
    first = index * len(study.seeds)
    return tuple(Trial(number=first + k, point=point, seed=seed) for k, seed in enumerate(study.seeds))


def _some(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _matches(value: object, wanted: object) -> bool:
    return any(same(value, item) for item in (wanted if isinstance(wanted, list) else [wanted]))
