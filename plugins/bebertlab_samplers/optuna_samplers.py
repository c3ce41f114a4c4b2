"""Samplers of Optuna: uniformly at random, and the tree-structured Parzen estimator (Bergstra et al., 2011)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import field, frozen, validators

from bebertlab.api import SamplerOptions, SearchDimension, SearchPoint, SearchSampler, SearchSpace, SearchTrial

if TYPE_CHECKING:
    import optuna


@frozen(kw_only=True)
class RandomSampler(SamplerOptions):
    """Points drawn uniformly at random, independently of results."""

    kind = "random"
    multi_objective: ClassVar[bool] = True

    def build(self, space: SearchSpace) -> SearchSampler:
        """The sampler for a space."""
        return OptunaSampler(space, self._make)

    def _make(self, index: int, attempt: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.RandomSampler(seed=self.random_seed(index, attempt))


@frozen(kw_only=True)
class TpeSampler(SamplerOptions):
    """Points near those with good results, by Optuna's tree-structured Parzen estimator (TPE)."""

    kind = "tpe"
    multi_objective: ClassVar[bool] = True
    startup: int = field(default=10, validator=validators.ge(1))  #: points drawn at random before results are used

    def build(self, space: SearchSpace) -> SearchSampler:
        """The sampler for a space."""
        return OptunaSampler(space, self._make)

    def remarks(self) -> tuple[str, ...]:
        """A warning if all points are drawn at random."""
        limits = {"startup": self.startup, "batch": self.batch}  # a batch is drawn when all before it has finished
        reached = [name for name, limit in limits.items() if self.trials <= limit]
        if not reached:
            return ()
        count = max(self.startup, self.batch)
        options = " and ".join(f"sampler.{name}" for name in reached)
        advice = f"set {options} below trials" if self.trials > 1 else "raise trials"
        return (
            f"sampler tpe draws its first {count} point{'' if count == 1 else 's'} at random, and trials is"
            f" {self.trials}: this is a random search; {advice}",
        )

    def _make(self, index: int, attempt: int) -> optuna.samplers.BaseSampler:
        import optuna

        seed = self.random_seed(index, attempt)
        if index < self.startup:
            return optuna.samplers.RandomSampler(seed=seed)
        # the start-up is counted here in points: Optuna would count trials, of which a point has one for each seed
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=1)


class OptunaSampler(SearchSampler):
    """Asks a new Optuna sampler for each proposal, over a study in memory that holds the trials so far.

    A choice is a category by its index: Optuna takes 1 and true for the same, and no mappings.
    """

    def __init__(self, space: SearchSpace, make: Callable[[int, int], optuna.samplers.BaseSampler]) -> None:
        """`make` gives the Optuna sampler for an index and an attempt."""
        self._space = space
        self._make = make
        self._distributions = {path: _distribution(dimension) for path, dimension in space.dimensions.items()}
        self._trials: list[SearchTrial] = []  # in the study
        self._study: optuna.Study | None = None

    def ask(self, index: int, attempt: int, trials: Sequence[SearchTrial]) -> SearchPoint:
        """Optuna's proposal, given the trials that did not fail."""
        import optuna

        study = self._study_of(trials)
        study.sampler = self._make(index, attempt)
        trial = study.ask(self._distributions)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)  # the point is in `trials` of later calls if it is used
        return {path: _value(self._space.dimensions[path], value) for path, value in trial.params.items()}

    def _study_of(self, trials: Sequence[SearchTrial]) -> optuna.Study:
        import optuna

        count = len(self._trials)
        if self._study is None or list(trials[:count]) != self._trials:  # a pending trial has ended, or one ran again
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            self._study = optuna.create_study(directions=[objective.goal for objective in self._space.objectives])
            self._trials, count = [], 0
        for trial in trials[count:]:
            self._trials.append(trial)
            if trial.pending or trial.values is not None:
                self._study.add_trial(self._frozen_trial(trial))
        return self._study

    def _frozen_trial(self, trial: SearchTrial) -> optuna.trial.FrozenTrial:
        import optuna

        params = {path: _parameter(dimension, trial.point[path]) for path, dimension in self._space.dimensions.items()}
        state = optuna.trial.TrialState.RUNNING if trial.pending else optuna.trial.TrialState.COMPLETE
        return optuna.trial.create_trial(
            state=state, params=params, distributions=self._distributions, values=trial.values
        )


def _distribution(dimension: SearchDimension) -> optuna.distributions.BaseDistribution:
    import optuna.distributions as kinds

    if dimension.choice is not None:
        return kinds.CategoricalDistribution(range(len(dimension.choice)))
    if dimension.integer is not None:
        return kinds.IntDistribution(*dimension.integer)
    low, high = dimension.range
    return kinds.FloatDistribution(low, high, log=dimension.loguniform is not None)


def _parameter(dimension: SearchDimension, value: object) -> Any:  # noqa: ANN401 - of the distribution
    return value if dimension.choice is None else dimension.index(value)


def _value(dimension: SearchDimension, parameter: Any) -> object:  # noqa: ANN401 - of the distribution
    return parameter if dimension.choice is None else dimension.choice[parameter]
