"""The points of a study, and the trials they give."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from attrs import frozen

from bebertlab.errors import UserError
from bebertlab.store.fingerprint import canonical
from bebertlab.study.study import Point, SearchDimension, SearchSampler, Study, same, show


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


def _random_search(sampler: SearchSampler, startup: int, trials: int) -> tuple[str, ...]:
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


#: the values of a line of an item by their canonical texts
_Line = Mapping[str, Any]

#: draws of a point with real numbers until a range is taken to have no other number
_TRIES = 100


@frozen(kw_only=True)
class Box:
    """Every combination of some values of each axis."""

    values: Mapping[str, Sequence[Any] | None]  #: by path, in no order; None: the numbers of a range

    @property
    def size(self) -> int:
        """Points in the box, without regard to ranges of real numbers."""
        return math.prod(_length(values) for values in self.values.values() if values is not None)

    def holds(self, point: Point) -> bool:
        """Whether a point is in the box."""
        return all(values is None or _has(values, point[path]) for path, values in self.values.items())

    def discrete(self, rank: int) -> dict[str, Any]:
        """The values of the point number `rank`, without those from ranges of real numbers."""
        found = {}
        for path, values in self.values.items():
            if values is not None:
                rank, place = divmod(rank, _length(values))
                found[path] = values[place]
        return found


def boxes(study: Study) -> Iterator[Box]:
    """Disjoint boxes that hold every point that is not excluded.

    A range of real numbers is never excluded: an item that names numbers of it meets none of the others.
    """
    items = [{path: _line(values) for path, values in item.items()} for item in study.exclude]
    for found in _boxes(list(study.search.items()), items):
        yield Box(values=found)


def space_size(study: Study) -> int | None:
    """The number of points that are not excluded; None where a range of real numbers makes it infinite.

    >>> search = {"a": SearchDimension(choice=(1, 2, 4)), "b": SearchDimension(integer=(1, 10))}
    >>> space_size(Study(name="s", recipe={}, search=search, exclude=({"a": [2, 4], "b": 3},)))
    28
    """
    found = list(boxes(study))
    return None if found and not _is_finite(study) else sum(box.size for box in found)


def free_point(study: Study, before: Iterable[Point], draw: Random) -> Point:
    """A point at random that is neither excluded nor among those before.

    Raises:
        UserError: there is none.
    """
    before = list(before)
    seen = {canonical(point) for point in before}
    finite = _is_finite(study)
    found = list(boxes(study))
    left = [box.size - (sum(map(box.holds, before)) if finite else 0) for box in found]
    if any(left):
        (box,) = draw.choices(found, left)
        start = draw.randrange(box.size)
        for offset in range(box.size if finite else _TRIES):
            values = box.discrete((start + offset) % box.size)
            point = {path: values[path] if path in values else _real(axis, draw) for path, axis in study.search.items()}
            if canonical(point) not in seen:
                return point
    raise UserError("the search space has no further point")


def _boxes(
    axes: Sequence[tuple[str, SearchDimension]], items: Sequence[Mapping[str, _Line]]
) -> Iterator[dict[str, Sequence[Any] | None]]:
    """The boxes of some axes without what the items exclude; an item without lines excludes everything."""
    if not all(items):
        return
    if not axes:
        yield {}
        return
    (path, axis), *others = axes
    for values, matched in _parts(axis, [item.get(path) for item in items]):
        left = [
            {name: line for name, line in item.items() if name != path}
            for item, matches in zip(items, matched, strict=True)
            if matches
        ]
        for box in _boxes(others, left):
            yield {path: values, **box}


def _parts(
    axis: SearchDimension, lines: Sequence[_Line | None]
) -> Iterator[tuple[Sequence[Any] | None, tuple[bool, ...]]]:
    """The values of an axis parted by which lines they match; where there is no line, every value matches."""
    if axis.choice is not None:
        parts: dict[tuple[bool, ...], list[Any]] = {}
        for value in axis.choice:
            parts.setdefault(tuple(_fits(value, line) for line in lines), []).append(value)
        yield from ((values, matched) for matched, values in parts.items())
        return
    others = tuple(line is None for line in lines)
    if axis.integer is None:
        yield None, others
        return
    first, last = axis.integer
    named = {value for line in lines for value in (line or {}).values() if type(value) is int}
    for value in sorted(value for value in named if first <= value <= last):
        if first < value:
            yield range(first, value), others
        yield range(value, value + 1), tuple(_fits(value, line) for line in lines)
        first = value + 1
    if first <= last:
        yield range(first, last + 1), others


def _fits(value: object, line: _Line | None) -> bool:
    return line is None or canonical(value) in line


def _line(values: object) -> _Line:
    return {canonical(value): value for value in (values if isinstance(values, list) else [values])}


def _is_finite(study: Study) -> bool:
    return all(axis.choice is not None or axis.integer is not None for axis in study.search.values())


def _real(axis: SearchDimension, draw: Random) -> float:
    low, high = axis.range
    if axis.loguniform is None:
        return draw.uniform(low, high)
    return min(high, max(low, math.exp(draw.uniform(math.log(low), math.log(high)))))


def _length(values: Sequence[Any]) -> int:
    # len() of a range ends at sys.maxsize
    return values.stop - values.start if isinstance(values, range) else len(values)


def _has(values: Sequence[Any], value: object) -> bool:
    return value in values if isinstance(values, range) else any(same(value, item) for item in values)
