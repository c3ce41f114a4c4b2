"""The points of a study, and the trials they give."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from bebertlab.study.boxes import space_size
from bebertlab.study.study import Point, Sampler, Study, same, show


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


def planned_points(study: Study) -> int:
    """How many points a study has when it is complete; a sampler ends where the space is used up.

    Raises:
        TypeError: a grid over a range of real numbers.
    """
    size, wanted = space_size(study), study.sampler.trials
    known = [number for number in (size, wanted) if number is not None]
    if not known:
        raise TypeError("a grid has choices only")
    return min(known)


def planned_trials(study: Study) -> int:
    """How many trials a study has when it is complete."""
    return planned_points(study) * len(study.seeds)


def count_trials(study: Study) -> str:
    """How many trials a study has, in words."""
    points, wanted = planned_points(study), study.sampler.trials
    if wanted is None:
        said = _some(points, "point")
    elif points < wanted:
        said = f"all {_some(points, 'point')} of the space"
    else:
        said = f"{_some(points, 'point')} drawn by the sampler {study.sampler.kind}"
    return f"{_some(planned_trials(study), 'trial')} ({said}, {_some(len(study.seeds), 'seed')})"


def remarks(study: Study) -> tuple[str, ...]:
    """What is odd about how the points of a study are found: it is not wrong, and may not be what was meant."""
    sampler, points = study.sampler, planned_points(study)
    if sampler.trials is None:
        return ()
    if points < sampler.trials:
        what = f"the search space has {_some(points, 'point')}, and trials is {sampler.trials}"
        return (f"{what}: the space is used up after {points} of {sampler.trials}",)
    if sampler.startup is None or space_size(study) == points:  # all of them are drawn in any case
        return ()
    return _random_search(sampler, sampler.startup, sampler.trials)


def _random_search(sampler: Sampler, startup: int, trials: int) -> tuple[str, ...]:
    """The remark that a sampler which goes by results has none to go by."""
    limits = {"startup": startup, "batch": sampler.batch}  # a batch is drawn when all before it has finished
    reached = [name for name, limit in limits.items() if trials <= limit]
    if not reached:
        return ()
    first = max(startup, sampler.batch)
    mend = f"set {' and '.join(f'sampler.{name}' for name in reached)} below trials" if trials > 1 else "raise trials"
    return (
        f"sampler tpe draws its first {_some(first, 'point')} at random, and trials is {trials}: this is a random"
        f" search; {mend}",
    )


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
