"""Samplers of Optuna: at random, the tree-structured Parzen estimator, NSGA-II and Gaussian processes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from attrs import field, frozen, validators

from bebertlab.api import SamplerOptions, SearchSampler, SearchSpace
from bebertlab_samplers.optuna_study import PointSampler, TrialSampler

if TYPE_CHECKING:
    import optuna


@frozen(kw_only=True)
class RandomSampler(SamplerOptions):
    """Points drawn uniformly at random, independently of results."""

    kind = "random"
    multi_objective: ClassVar[bool] = True

    def build(self, space: SearchSpace) -> SearchSampler:
        """The sampler for a space."""
        return TrialSampler(space, self._make)

    def _make(self, index: int, attempt: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.RandomSampler(seed=self.random_seed(index, attempt))


@frozen(kw_only=True)
class _AfterStartup(SamplerOptions):
    """Draws points at random until there are results enough for a model of them."""

    multi_objective: ClassVar[bool] = True
    uses_constraints: ClassVar[bool] = True
    startup: int = field(default=10, validator=validators.ge(1))  #: points drawn at random before results are used

    def remarks(self) -> tuple[str, ...]:
        """A warning if all points are drawn at random."""
        return _random_search(self, "startup", self.startup)

    def _make(self, index: int, attempt: int) -> optuna.samplers.BaseSampler:
        import optuna

        seed = self.random_seed(index, attempt)
        # the start-up is counted here in points: Optuna would count trials, of which a point may have one for each seed
        return optuna.samplers.RandomSampler(seed=seed) if index < self.startup else self._by_results(seed)

    @abstractmethod
    def _by_results(self, seed: int) -> optuna.samplers.BaseSampler:
        """The sampler that uses results from the second trial on."""


@frozen(kw_only=True)
class TpeSampler(_AfterStartup):
    """Points near those with good results, by Optuna's tree-structured Parzen estimator (Bergstra et al., 2011)."""

    kind = "tpe"

    def build(self, space: SearchSpace) -> SearchSampler:
        """The sampler for a space."""
        return TrialSampler(space, self._make)

    def _by_results(self, seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=1)


@frozen(kw_only=True)
class NsgaSampler(SamplerOptions):
    """Generations of points that are crossed and mutated from the best ones before, by NSGA-II (Deb et al., 2002)."""

    kind = "nsga2"
    multi_objective: ClassVar[bool] = True
    uses_constraints: ClassVar[bool] = True
    #: points of a generation; the first one is drawn at random. Means over seeds are compared
    population: int = field(default=20, validator=validators.ge(2))
    #: the probability that an option is changed at random; default: 1 / number of searched options
    mutation: float | None = field(default=None, validator=validators.optional([validators.ge(0), validators.le(1)]))
    crossover: float = field(
        default=0.9, validator=[validators.ge(0), validators.le(1)]
    )  #: the probability of crossing

    def build(self, space: SearchSpace) -> SearchSampler:
        """The sampler for a space."""
        return PointSampler(space, self._make, self.batch, replays=True)

    def remarks(self) -> tuple[str, ...]:
        """A warning if all points are drawn at random."""
        return _random_search(self, "population", self.population)

    def _make(self, index: int, attempt: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.NSGAIISampler(
            population_size=self.population,
            mutation_prob=self.mutation,
            crossover_prob=self.crossover,
            seed=self.random_seed(index, attempt),
        )


@frozen(kw_only=True)
class GpSampler(_AfterStartup):
    """Points with a high expected improvement under a Gaussian process, for few and expensive points.

    Means over seeds are its observations. The time for a proposal grows with the cube of the number of points: about a
    second for 200.
    """

    kind = "gp"

    def build(self, space: SearchSpace) -> SearchSampler:
        """The sampler for a space."""
        return PointSampler(space, self._make, self.batch, replays=False)

    def _by_results(self, seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=1)


def _random_search(sampler: SamplerOptions, option: str, points: int) -> tuple[str, ...]:
    """A warning if no point of a sampler uses results; `points` are drawn at random first, by this option."""
    # a batch is drawn when all before it has finished
    reached = [name for name, limit in ((option, points), ("batch", sampler.batch)) if sampler.trials <= limit]
    if not reached:
        return ()
    count = max(points, sampler.batch)
    options = " and ".join(f"sampler.{name}" for name in reached)
    advice = f"set {options} below trials" if sampler.trials > 1 else "raise trials"
    return (
        f"sampler {sampler.kind} draws its first {count} point{'' if count == 1 else 's'} at random, and trials is"
        f" {sampler.trials}: this is a random search; {advice}",
    )
