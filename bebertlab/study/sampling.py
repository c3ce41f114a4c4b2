"""Points drawn by a sampler of Optuna: at random, or where good ones were found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from attrs import frozen

from bebertlab.store.fingerprint import canonical
from bebertlab.study.space import excluded, free_point
from bebertlab.study.study import Point, SearchDimension, Study, same, show

if TYPE_CHECKING:
    import optuna

#: proposals of points that are excluded, or were there before, until one of those that are left is taken instead
TRIES = 20


@frozen(kw_only=True)
class Drawn:
    """A drawn point and the Optuna trial that stands for it."""

    point: Point
    attempt: int


def draw(study: Study, asked: optuna.Study, index: int, before: Sequence[Point]) -> Drawn:
    """Draw point number `index`, which is none of those before.

    The draw depends on the study's seed, the index and the results so far, on nothing that a restart would change.

    Raises:
        UserError: no point is left.
    """
    import optuna

    seen = {canonical(point) for point in before}
    for attempt in range(TRIES):
        asked.sampler = _sampler(study, index, attempt)
        trial = asked.ask(distributions(study))
        point = _point(study, trial.params)
        if canonical(point) not in seen and not excluded(point, study.exclude):
            return Drawn(point=point, attempt=trial.number)
        asked.tell(trial, state=optuna.trial.TrialState.FAIL)
    left = free_point(study, before, Random(_seed(study, index, TRIES)))
    return Drawn(point=left, attempt=_add(study, asked, left))


def distributions(study: Study) -> dict[str, optuna.distributions.BaseDistribution]:
    """The search space as Optuna knows it. Choices are texts: it takes 1 and true for the same, and no mappings."""
    return {path: _distribution(axis) for path, axis in study.search.items()}


def parameters(study: Study, point: Point) -> dict[str, Any]:
    """A point as Optuna knows it."""
    return {path: _parameter(axis, point[path]) for path, axis in study.search.items()}


def _point(study: Study, parameters: dict[str, Any]) -> dict[str, Any]:
    return {path: _value(axis, parameters[path]) for path, axis in study.search.items()}


def _distribution(axis: SearchDimension) -> optuna.distributions.BaseDistribution:
    import optuna.distributions as kinds

    if axis.choice is not None:
        return kinds.CategoricalDistribution(_labels(axis.choice))
    if axis.integer is not None:
        return kinds.IntDistribution(*axis.integer)
    low, high = axis.range
    return kinds.FloatDistribution(low, high, log=axis.loguniform is not None)


def _parameter(axis: SearchDimension, value: object) -> object:
    if axis.choice is None:
        return value
    return _labels(axis.choice)[[same(value, item) for item in axis.choice].index(True)]


def _value(axis: SearchDimension, parameter: object) -> object:
    return parameter if axis.choice is None else axis.choice[_labels(axis.choice).index(str(parameter))]


def _labels(choice: Sequence[object]) -> list[str]:
    shown = [show(value) for value in choice]
    return shown if len(set(shown)) == len(shown) else [canonical(value) for value in choice]


def _add(study: Study, asked: optuna.Study, point: Point) -> int:
    """The number of a new Optuna trial that runs at a point which no sampler proposed."""
    import optuna

    asked.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=parameters(study, point),
            distributions=distributions(study),
        )
    )
    return int(asked.get_trials(deepcopy=False)[-1].number)


def _sampler(study: Study, index: int, attempt: int) -> optuna.samplers.BaseSampler:
    import optuna

    seed = _seed(study, index, attempt)
    if study.sampler.startup is None or index < study.sampler.startup:
        return optuna.samplers.RandomSampler(seed=seed)
    # which points are drawn at random is decided here: Optuna would count trials, of which a point has one a seed
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=1)


def _seed(study: Study, index: int, attempt: int) -> int:
    # the same seed would propose the same points again after a restart
    words = f"{study.sampler.seed}/{index}/{attempt}"
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big")
