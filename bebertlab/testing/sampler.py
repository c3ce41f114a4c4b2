"""The contract of samplers."""

from __future__ import annotations

from collections.abc import Sequence

from bebertlab.interfaces.sampler import (
    Objective,
    PointListOptions,
    SamplerOptions,
    SearchDimension,
    SearchPoint,
    SearchSampler,
    SearchSpace,
    SearchTrial,
)
from bebertlab.interfaces.values import identity
from bebertlab.testing.contract import ContractError, require

_CHOICES = {
    "part": SearchDimension(choice=("x", {"kind": "y", "n": 1}, True, 1, None)),
    "size": SearchDimension(choice=(1, 2, 4)),
    "depth": SearchDimension(choice=(1, 2, 3), when={"size": [2, 4]}),  # exists at some points only
}
_RANGES = {
    "rate": SearchDimension(loguniform=(1e-4, 1e-2)),
    "share": SearchDimension(uniform=(0.0, 2.0)),
    "bits": SearchDimension(integer=(1, 8)),
}
_GOALS = (Objective(metric="first"), Objective(metric="second", goal="minimize"))
_ATTEMPTS = 20  #: as many as a study makes before it draws a free point itself
_POINTS = 12
_SEEDS = 2  #: trials of each point


def check_sampler(options: SamplerOptions | PointListOptions) -> None:
    """Check a sampler; one line in a plugin's tests.

    Every proposed point has a value of every dimension that exists at it, in their order and within their bounds. A
    sampler that draws points proposes the same for the same options, index, attempt and trials, also where a new one
    continues after a kill; another attempt proposes another point where the one before was excluded; and one that
    declares `multi_objective` takes two objectives. A sampler that lists its points lists each once, and the same ones
    every time.

    Raises:
        ContractError: an AssertionError that names what does not hold.
    """
    try:
        if isinstance(options, PointListOptions):
            _check_list(options)
        else:
            _check_draws(options, _GOALS[:1])
            if options.multi_objective:
                _check_draws(options, _GOALS)
    except ContractError as error:
        raise ContractError(f"sampler '{options.kind}': {error}") from None


def _check_list(options: PointListOptions) -> None:
    space = SearchSpace(dimensions={**_CHOICES, **(_RANGES if options.ranges else {})})
    points = list(options.points(space))
    require(bool(points), "lists no point")
    for point in points:
        _check_point(point, space)
    listed = [identity(point) for point in points]
    require(len(set(listed)) == len(listed), "lists a point twice")
    require([identity(point) for point in options.points(space)] == listed, "lists other points the second time")


def _check_draws(options: SamplerOptions, goals: tuple[Objective, ...]) -> None:
    space = SearchSpace(dimensions={**_CHOICES, **_RANGES}, objectives=goals)
    sampler = options.build(space)
    trials: list[SearchTrial] = []
    for index in range(_POINTS):
        point = _allowed(sampler, index, trials, space)
        again = _allowed(options.build(space), index, trials, space)
        require(identity(again) == identity(point), f"proposes another point number {index} after a restart")
        trials += [SearchTrial(point=point, pending=True)] * _SEEDS
        if index % options.batch == options.batch - 1:
            trials = [_ended(trial, place, goals) for place, trial in enumerate(trials)]


def _allowed(sampler: SearchSampler, index: int, trials: Sequence[SearchTrial], space: SearchSpace) -> SearchPoint:
    """The first proposal that is not excluded, as half of the space is; the last one where all of them are."""
    proposals: list[SearchPoint] = []
    for attempt in range(_ATTEMPTS):
        proposals.append(sampler.ask(index, attempt, tuple(trials)))
        _check_point(proposals[-1], space)
        if proposals[-1]["bits"] > 4:
            return proposals[-1]
    require(len(set(map(identity, proposals))) > 1, "proposes an excluded point again at every attempt")
    return proposals[-1]


def _ended(trial: SearchTrial, place: int, goals: tuple[Objective, ...]) -> SearchTrial:
    """Every fifth trial failed."""
    values = (float(trial.point["bits"]), float(trial.point["share"]))[: len(goals)]
    return SearchTrial(point=trial.point, values=None if place % 5 == 4 else values)


def _check_point(point: SearchPoint, space: SearchSpace) -> None:
    expected = [path for path, dimension in space.dimensions.items() if dimension.exists_at(point)]
    require(list(point) == expected, f"proposes a point with {', '.join(point)}; expected {', '.join(expected)}")
    for path in expected:
        dimension = space.dimensions[path]
        require(dimension.holds(point[path]), f"proposes {path}={point[path]!r}, which is not a value of {dimension}")
