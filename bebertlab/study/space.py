"""The points of a study, and the trials they give."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from attrs import frozen

from bebertlab.errors import UserError, show_exception
from bebertlab.interfaces.events import trial_id
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.sampler import PointListOptions, SamplerOptions, SearchDimension, SearchPoint
from bebertlab.interfaces.values import identity, same
from bebertlab.study.study import Study, show


@frozen(kw_only=True)
class Trial:
    """One point with one seed."""

    number: int
    point: SearchPoint
    seed: int

    @property
    def name(self) -> str:
        """What the trial is called.

        >>> Trial(number=7, point={"members.size": 2}, seed=1).name
        't007 members.size=2 seed=1'
        """
        return " ".join(filter(None, [trial_id(self.number), show_point(self.point), f"seed={self.seed}"]))


def show_point(point: SearchPoint) -> str:
    """A point in a few characters.

    >>> show_point({"members.size": 2, "members.ensemble": "bagging"})
    'members.size=2 members.ensemble=bagging'
    """
    return " ".join(f"{path}={show(value)}" for path, value in point.items())


def listed_points(study: Study) -> tuple[SearchPoint, ...]:
    """The points that are known before the first trial, in order: none of a sampler that draws them.

    Raises:
        UserError: the sampler raised, or lists no point, a point twice, or one outside the search space.
    """
    if not isinstance(study.sampler, PointListOptions):
        return ()
    with naming_sampler(study.sampler, "points"):
        points = tuple(study.sampler.points(study.space))
    if not points:
        raise UserError(f"sampler '{study.sampler.kind}' lists no point")
    seen: set[str] = set()
    for point in points:
        check_point(study, point)
        if (key := identity(point)) in seen:
            raise UserError(f"sampler '{study.sampler.kind}' lists a point twice: {show_point(point)}")
        seen.add(key)
    return tuple(point for point in points if not excluded(point, study.exclude))


@contextmanager
def naming_sampler(sampler: Options, method: str) -> Iterator[None]:
    """Turn an exception of a sampler's method into an error that names both.

    Raises:
        UserError: the method raised.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"sampler '{sampler.kind}': {method}() raises {show_exception(error)}") from error


def check_point(study: Study, point: SearchPoint) -> None:
    """Check that a point that a sampler gave is one of the search space.

    Raises:
        UserError: it is not; names the sampler.
    """
    if not isinstance(point, Mapping):
        raise UserError(
            f"sampler '{study.sampler.kind}' gave {point!r}; expected a mapping of searched paths to values"
        )
    paths = existing(study.search, point)
    wrong = [path for path in paths if path not in point or not study.search[path].holds(point[path])]
    if wrong or list(point) != paths:
        what = _wrong_value(wrong[0], point) if wrong else f"the paths {', '.join(point)}"
        raise UserError(f"sampler '{study.sampler.kind}' gave a point outside the search space: {what}")


def existing(search: Mapping[str, SearchDimension], point: SearchPoint) -> list[str]:
    """The searched paths that exist at a point, by the values of those before them.

    >>> size = SearchDimension(choice=(1, 2), when={"kind": "b"})
    >>> search = {"kind": SearchDimension(choice=("a", "b")), "size": size}
    >>> existing(search, {"kind": "a"}), existing(search, {"kind": "b"})
    (['kind'], ['kind', 'size'])
    """
    values: dict[str, Any] = {}
    for path, axis in search.items():
        if axis.exists_at(values):
            values[path] = point.get(path)
    return list(values)


def _wrong_value(path: str, point: SearchPoint) -> str:
    if path not in point:
        return f"it has no {path}"
    value = point[path]
    if type(value).__module__ == "builtins":
        return f"{path}={show(value)}"
    return f"{path}={value!r}; expected a number, text or other value of plain Python"  # such as 0.1, not a float64


def planned_points(study: Study) -> int:
    """The number of points of a complete study; a sampler ends where the space is used up."""
    if isinstance(study.sampler, PointListOptions):
        return len(listed_points(study))
    size = space_size(study.search, study.exclude)
    return study.sampler.trials if size is None else min(size, study.sampler.trials)


def planned_trials(study: Study) -> int:
    """The number of trials of a complete study."""
    return planned_points(study) * len(study.seeds)


def count_trials(study: Study) -> str:
    """The number of trials of a complete study, for people."""
    points = planned_points(study)
    if isinstance(study.sampler, PointListOptions):
        what = _count(points, "point")
    elif points < study.sampler.trials:
        what = f"all {_count(points, 'point')} of the space"
    else:
        what = f"{_count(points, 'point')} drawn by the sampler {study.sampler.kind}"
    return f"{_count(planned_trials(study), 'trial')} ({what}, {_count(len(study.seeds), 'seed')})"


def remarks(study: Study) -> tuple[str, ...]:
    """Sentences on how points are found that are valid but may not be meant."""
    sampler = study.sampler
    if isinstance(sampler, PointListOptions):
        return ()
    points = planned_points(study)
    if points < sampler.trials:
        what = f"the search space has {_count(points, 'point')}, and trials is {sampler.trials}"
        return (f"{what}: the space is used up after {points} of {sampler.trials}",)
    if space_size(study.search, study.exclude) == points:  # all of them are drawn in any case
        return ()
    ignored = bool(study.constraints) and not sampler.uses_constraints
    return (*sampler.remarks(), *([_ignores_constraints(sampler)] if ignored else []))


def _ignores_constraints(sampler: SamplerOptions) -> str:
    return (
        f"sampler {sampler.kind} does not use constraints: points that break one are drawn as often as others;"
        " tpe, nsga2 and gp avoid them"
    )


def excluded(point: SearchPoint, exclude: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a point matches every line of an item; a line with a list matches any of its values.

    A line matches no point at which its path does not exist.

    >>> excluded({"a": 1, "b": "x"}, [{"a": [1, 2], "b": "x"}]), excluded({"a": 3}, [{"a": [1, 2]}])
    (True, False)
    """
    return any(
        all(path in point and _matches(point[path], values) for path, values in item.items()) for item in exclude
    )


def point_trials(study: Study, index: int, point: SearchPoint) -> tuple[Trial, ...]:
    """The trials of the study's point number `index`, one a seed."""
    first = index * len(study.seeds)
    return tuple(Trial(number=first + k, point=point, seed=seed) for k, seed in enumerate(study.seeds))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _matches(value: object, wanted: object) -> bool:
    return any(same(value, item) for item in (wanted if isinstance(wanted, list) else [wanted]))


#: the values of a line of an item by their canonical texts
_Line = Mapping[str, Any]

#: draws of a point with real numbers before a range counts as used up
_TRIES = 100


@frozen(kw_only=True)
class Box:
    """Every combination of some values of each axis that exists at them."""

    values: Mapping[str, Sequence[Any] | None]  #: by path, in no order; None: the numbers of a range

    @property
    def size(self) -> int:
        """Points in the box, without regard to ranges of real numbers."""
        return math.prod(_length(values) for values in self.values.values() if values is not None)

    @property
    def is_finite(self) -> bool:
        """Whether it has no range of real numbers."""
        return all(values is not None for values in self.values.values())

    def holds(self, point: SearchPoint) -> bool:
        """Whether a point is in the box."""
        return self.values.keys() == point.keys() and all(
            values is None or _has(values, point[path]) for path, values in self.values.items()
        )

    def discrete(self, rank: int) -> dict[str, Any]:
        """The values of the point number `rank`, without those from ranges of real numbers."""
        point = {}
        for path, values in self.values.items():
            if values is not None:
                rank, index = divmod(rank, _length(values))
                point[path] = values[index]
        return point


def boxes(search: Mapping[str, SearchDimension], exclude: Iterable[Mapping[str, Any]]) -> Iterator[Box]:
    """Disjoint boxes that hold every point that is not excluded.

    A range of real numbers is never excluded: an item that names numbers of it matches none of the others.
    """
    items = [{path: _line(values) for path, values in item.items()} for item in exclude]
    for values in _boxes(list(search.items()), items, {}):
        yield Box(values=values)


def space_size(search: Mapping[str, SearchDimension], exclude: Iterable[Mapping[str, Any]]) -> int | None:
    """The number of points that are not excluded; None where a range of real numbers makes it infinite.

    A range that exists at no point that is left does not.

    >>> search = {"a": SearchDimension(choice=(1, 2, 4)), "b": SearchDimension(integer=(1, 10))}
    >>> space_size(search, [{"a": [2, 4], "b": 3}])
    28
    """
    parts = list(boxes(search, exclude))
    return sum(box.size for box in parts) if all(box.is_finite for box in parts) else None


def free_point(
    search: Mapping[str, SearchDimension],
    exclude: Iterable[Mapping[str, Any]],
    before: Iterable[SearchPoint],
    random: Random,
) -> SearchPoint:
    """A random point that is neither excluded nor among those before.

    Raises:
        UserError: there is none.
    """
    before = list(before)
    seen = {identity(point) for point in before}
    parts = list(boxes(search, exclude))
    free = [box.size - (sum(map(box.holds, before)) if box.is_finite else 0) for box in parts]
    if any(free):
        (box,) = random.choices(parts, free)
        start = random.randrange(box.size)
        for offset in range(box.size if box.is_finite else _TRIES):
            values = box.discrete((start + offset) % box.size)
            point = {
                path: values[path] if path in values else _real(axis, random)
                for path, axis in search.items()
                if path in box.values
            }
            if identity(point) not in seen:
                return point
    raise UserError("the search space has no further point")


def _boxes(
    axes: Sequence[tuple[str, SearchDimension]], items: Sequence[Mapping[str, _Line]], earlier: SearchPoint
) -> Iterator[dict[str, Sequence[Any] | None]]:
    """The boxes of some axes without what the items exclude; an item without lines excludes everything.

    `earlier` has a value of each axis before: all values of a box meet the same conditions of later axes.
    """
    if not all(items):
        return
    if not axes:
        yield {}
        return
    (path, axis), *others = axes
    if not axis.exists_at(earlier):  # an item with a line for it matches no point
        yield from _boxes(others, [item for item in items if path not in item], earlier)
        return
    conditions = [_line(other.when[path]) for _, other in others if path in other.when]
    for values, matched in _parts(axis, [*(item.get(path) for item in items), *conditions]):
        left = [
            {name: line for name, line in item.items() if name != path}
            for item, matches in zip(items, matched, strict=False)
            if matches
        ]
        for box in _boxes(others, left, {**earlier, path: None if values is None else values[0]}):
            yield {path: values, **box}


def _parts(
    axis: SearchDimension, lines: Sequence[_Line | None]
) -> Iterator[tuple[Sequence[Any] | None, tuple[bool, ...]]]:
    """The values of an axis, grouped by the lines that they match; a missing line matches every value."""
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
    return line is None or identity(value) in line


def _line(values: object) -> _Line:
    return {identity(value): value for value in (values if isinstance(values, list) else [values])}


def _real(axis: SearchDimension, random: Random) -> float:
    low, high = axis.range
    if axis.loguniform is None:
        return random.uniform(low, high)
    return min(high, max(low, math.exp(random.uniform(math.log(low), math.log(high)))))


def _length(values: Sequence[Any]) -> int:
    # len() of a range fails above sys.maxsize
    return values.stop - values.start if isinstance(values, range) else len(values)


def _has(values: Sequence[Any], value: object) -> bool:
    return value in values if isinstance(values, range) else any(same(value, item) for item in values)
