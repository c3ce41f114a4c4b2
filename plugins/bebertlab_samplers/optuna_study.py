"""Asking samplers of Optuna for points, over a study in memory that holds the points so far.

A choice is a category by its index: Optuna takes 1 and true for the same, and no mappings.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from attrs import frozen

from bebertlab.api import SearchDimension, SearchPoint, SearchSampler, SearchSpace, SearchTrial

if TYPE_CHECKING:
    import optuna

Make = Callable[[int, int], "optuna.samplers.BaseSampler"]
"""The sampler of Optuna for an index and an attempt."""


class TrialSampler(SearchSampler):
    """Asks a new Optuna sampler for each proposal, over a study with every trial; the sampler must keep no state."""

    def __init__(self, space: SearchSpace, make: Make) -> None:
        self._space = space
        self._make = make
        self._trials: list[SearchTrial] = []  # in the study
        self._study: optuna.Study | None = None

    def ask(self, index: int, attempt: int, trials: Sequence[SearchTrial]) -> SearchPoint:
        """Optuna's proposal, given the trials that did not fail."""
        import optuna

        study = self._study_of(trials)
        study.sampler = self._make(index, attempt)
        trial = study.ask()
        point = _suggest(trial, self._space)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)  # the point is in `trials` of later calls if it is used
        return point

    def _study_of(self, trials: Sequence[SearchTrial]) -> optuna.Study:
        count = len(self._trials)
        if self._study is None or list(trials[:count]) != self._trials:  # a pending trial has ended, or one ran again
            self._study = _create_study(self._space)
            self._trials, count = [], 0
        for trial in trials[count:]:
            self._trials.append(trial)
            if trial.pending or trial.values is not None:
                observation = Observation(
                    point=trial.point, values=trial.values, excesses=trial.excesses, pending=trial.pending
                )
                self._study.add_trial(_frozen_trial(self._space, observation))
        return self._study


@frozen(kw_only=True)
class Observation:
    """A point with the means over its seeds."""

    point: SearchPoint
    values: tuple[float, ...] | None  #: of the objectives; None if all its trials are pending or failed
    excesses: tuple[float, ...]  #: of the constraints
    pending: bool


class PointSampler(SearchSampler):
    """Asks a new Optuna sampler for each proposal, over a study with one trial for each point.

    Some samplers write on each trial what they need later, e.g. the generation of NSGA-II. With `replays` such a
    sampler is asked again for the earlier points, in their batches, before it is asked for the next one: what it
    proposes depends on the points and their results alone, also after a restart.
    """

    def __init__(self, space: SearchSpace, make: Make, batch: int, *, replays: bool) -> None:
        self._space = space
        self._make = make
        self._batch = batch
        self._replays = replays
        self._told: list[Observation] = []  # in the study
        self._study: optuna.Study | None = None

    def ask(self, index: int, attempt: int, trials: Sequence[SearchTrial]) -> SearchPoint:
        """Optuna's proposal, given the means over seeds of the points so far."""
        observations = observed(trials)
        ended = next((k for k, point in enumerate(observations) if point.pending), len(observations))
        whole = ended // self._batch * self._batch
        with warnings.catch_warnings():
            _ignore_experimental()
            study = copy.deepcopy(self._study_of(observations[:whole]))
            for number, observation in enumerate(observations[whole:], start=whole):
                self._start(study, number, observation)
            study.sampler = self._make(index, attempt)
            return _suggest(study.ask(), self._space)

    def _study_of(self, observations: Sequence[Observation]) -> optuna.Study:
        """A study with all points of whole batches."""
        count = len(self._told)
        if self._study is None or list(observations[:count]) != self._told:
            self._study, self._told, count = _create_study(self._space), [], 0
        for first in range(count, len(observations), self._batch):
            batch = observations[first : first + self._batch]
            numbers = [self._start(self._study, first + k, observation) for k, observation in enumerate(batch)]
            for number, observation in zip(numbers, batch, strict=True):
                _tell(self._study, number, observation)
            self._told += batch
        return self._study

    def _start(self, study: optuna.Study, index: int, observation: Observation) -> int:
        """Add a point as a running trial, and return the trial's number."""
        if not self._replays:
            study.add_trial(
                _frozen_trial(self._space, Observation(point=observation.point, values=None, excesses=(), pending=True))
            )
            return len(study.get_trials(deepcopy=False)) - 1
        study.sampler = self._make(index, 0)
        study.enqueue_trial(_parameters(self._space, observation.point))
        trial = study.ask()
        _ = trial.relative_params  # the sampler is asked now, and writes what it needs on the trial
        _suggest(trial, self._space)
        return int(trial.number)


def observed(trials: Sequence[SearchTrial]) -> list[Observation]:
    """The points of trials in their order; consecutive trials of a point are its seeds."""
    groups: list[list[SearchTrial]] = []
    for trial in trials:
        if groups and groups[-1][0].point == trial.point:
            groups[-1].append(trial)
        else:
            groups.append([trial])
    return [_mean(group) for group in groups]


def _mean(group: Sequence[SearchTrial]) -> Observation:
    complete = [trial for trial in group if trial.values is not None]
    columns = zip(*(trial.values or () for trial in complete), strict=True)
    excesses = zip(*(trial.excesses for trial in complete), strict=True)
    return Observation(
        point=group[0].point,
        values=tuple(map(fmean, columns)) if complete else None,
        excesses=tuple(map(fmean, excesses)),
        pending=any(trial.pending for trial in group),
    )


def _create_study(space: SearchSpace) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(directions=[objective.goal for objective in space.objectives])


def _ignore_experimental() -> None:
    """Many samplers of Optuna warn that they are experimental; users choose them by name."""
    from optuna.exceptions import ExperimentalWarning

    warnings.simplefilter("ignore", ExperimentalWarning)


def _tell(study: optuna.Study, number: int, observation: Observation) -> None:
    import optuna

    if observation.values is None:
        study.tell(number, state=optuna.trial.TrialState.FAIL)
        return
    trial_id = study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    for name, excess in _constraints(observation).items():
        study._storage.set_trial_system_attr(trial_id, f"constraints:{name}", excess)
    study.tell(number, list(observation.values))


def _frozen_trial(space: SearchSpace, observation: Observation) -> optuna.trial.FrozenTrial:
    import optuna

    state = optuna.trial.TrialState.RUNNING if observation.pending else optuna.trial.TrialState.COMPLETE
    return optuna.trial.create_trial(
        state=state,
        params=_parameters(space, observation.point),
        distributions={path: _distribution(space.dimensions[path]) for path in observation.point},
        values=None if observation.pending else observation.values,
        constraints=_constraints(observation),
    )


def _constraints(observation: Observation) -> dict[str, float]:
    return {str(number): excess for number, excess in enumerate(observation.excesses)}


def _suggest(trial: optuna.Trial, space: SearchSpace) -> SearchPoint:
    """The values of a trial on every dimension that exists at its point, in the order of the space."""
    point: dict[str, Any] = {}
    for path, dimension in space.dimensions.items():
        if not dimension.exists_at(point):
            continue
        if dimension.choice is not None:
            point[path] = dimension.choice[trial.suggest_categorical(path, range(len(dimension.choice)))]
        elif dimension.integer is not None:
            point[path] = trial.suggest_int(path, *dimension.integer)
        else:
            low, high = dimension.range
            point[path] = trial.suggest_float(path, low, high, log=dimension.loguniform is not None)
    return point


def _distribution(dimension: SearchDimension) -> optuna.distributions.BaseDistribution:
    import optuna.distributions as kinds

    if dimension.choice is not None:
        return kinds.CategoricalDistribution(range(len(dimension.choice)))
    if dimension.integer is not None:
        return kinds.IntDistribution(*dimension.integer)
    low, high = dimension.range
    return kinds.FloatDistribution(low, high, log=dimension.loguniform is not None)


def _parameters(space: SearchSpace, point: SearchPoint) -> dict[str, Any]:
    return {path: _parameter(space.dimensions[path], value) for path, value in point.items()}


def _parameter(dimension: SearchDimension, value: object) -> Any:  # noqa: ANN401 - of the distribution
    return value if dimension.choice is None else dimension.index(value)
