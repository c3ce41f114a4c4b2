"""Drawing the points of a study by its sampler, and what Optuna's journal holds of them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from bebertlab.interfaces.sampler import SamplerOptions, SearchDimension, SearchPoint, SearchSampler, SearchTrial
from bebertlab.interfaces.values import identity
from bebertlab.study.space import check_point, excluded, free_point, naming_sampler
from bebertlab.study.study import Study, show

if TYPE_CHECKING:
    import optuna

#: proposals that are excluded or were tried before, until a free point is drawn at random instead
TRIES = 20


class PointSource:
    """The points that a study draws.

    A point depends on the sampler's options, its index and the results so far: on nothing that a restart changes.
    """

    def __init__(self, study: Study, options: SamplerOptions) -> None:
        self._study = study
        self._options = options
        with naming_sampler(options, "build"):
            self._sampler: SearchSampler = options.build(study.space)

    def draw(self, index: int, trials: Sequence[SearchTrial]) -> SearchPoint:
        """Draw the point number `index`, which is none of those of the trials before.

        Raises:
            UserError: no point is left, or the sampler raised or gave one outside the search space.
        """
        study = self._study
        before = {identity(trial.point): trial.point for trial in trials}
        for attempt in range(TRIES):
            with naming_sampler(self._options, "ask"):
                point = self._sampler.ask(index, attempt, trials)
            check_point(study, point)
            if identity(point) not in before and not excluded(point, study.exclude):
                return point
        return free_point(study.search, study.exclude, before.values(), Random(self._options.random_seed(index, TRIES)))


def distributions(study: Study, point: SearchPoint) -> dict[str, optuna.distributions.BaseDistribution]:
    """The values of a point's paths, for Optuna. Choices are texts: it takes 1 and true for the same, no mappings."""
    return {path: _distribution(study.search[path]) for path in point}


def parameters(study: Study, point: SearchPoint) -> dict[str, Any]:
    """A point for Optuna."""
    return {path: _parameter(study.search[path], value) for path, value in point.items()}


def _distribution(axis: SearchDimension) -> optuna.distributions.BaseDistribution:
    import optuna.distributions as kinds

    if axis.choice is not None:
        return kinds.CategoricalDistribution(_labels(axis.choice))
    if axis.integer is not None:
        return kinds.IntDistribution(*axis.integer)
    low, high = axis.range
    return kinds.FloatDistribution(low, high, log=axis.loguniform is not None)


def _parameter(axis: SearchDimension, value: object) -> object:
    return value if axis.choice is None else _labels(axis.choice)[axis.index(value)]


def _labels(choice: Sequence[object]) -> list[str]:
    shown = [show(value) for value in choice]
    return shown if len(set(shown)) == len(shown) else [identity(value) for value in choice]
