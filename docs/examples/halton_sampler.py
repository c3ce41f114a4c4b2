"""A quasi-random search: points of a Halton sequence cover a space more evenly than random ones."""

from collections.abc import Iterator, Sequence
from itertools import count

from attrs import frozen

from bebertlab.api import (
    SamplerOptions,
    SearchDimension,
    SearchPoint,
    SearchSampler,
    SearchSpace,
    SearchTrial,
    hookimpl,
)


@frozen(kw_only=True)
class HaltonOptions(SamplerOptions):
    """Points of a Halton sequence, shifted at random in every dimension (Halton, 1960)."""

    kind = "halton"
    multi_objective = True  # results have no influence on it

    def build(self, space: SearchSpace) -> SearchSampler:
        return HaltonSampler(self, space)


class HaltonSampler(SearchSampler):
    def __init__(self, options: HaltonOptions, space: SearchSpace) -> None:
        self.options = options
        self.space = space

    def ask(self, index: int, attempt: int, trials: Sequence[SearchTrial]) -> SearchPoint:
        # a proposal that was excluded is replaced by one further along the sequence
        position = index + 1 + attempt * self.options.trials
        point: dict[str, object] = {}
        for number, (base, (path, dimension)) in enumerate(zip(primes(), self.space.dimensions.items(), strict=False)):
            if dimension.exists_at(point):
                point[path] = value_at((radical_inverse(position, base) + self.shift(number)) % 1, dimension)
        return point

    def shift(self, dimension: int) -> float:
        return self.options.random_seed(dimension, 0) / 2**32


def value_at(fraction: float, dimension: SearchDimension) -> object:
    """The value of a dimension at a fraction in [0, 1) of its range or of its choices."""
    if dimension.choice is not None:
        return dimension.choice[int(fraction * len(dimension.choice))]
    low, high = dimension.range
    if dimension.integer is not None:
        return int(low + fraction * (high - low + 1))
    return low * (high / low) ** fraction if dimension.loguniform else low + fraction * (high - low)


def radical_inverse(position: int, base: int) -> float:
    """The digits of a position in a base, mirrored at the point: 6 is 110 in base 2, which gives 0.011 or 0.375."""
    fraction, weight = 0.0, 1 / base
    while position:
        position, digit = divmod(position, base)
        fraction, weight = fraction + digit * weight, weight / base
    return fraction


def primes() -> Iterator[int]:
    return (number for number in count(2) if all(number % divisor for divisor in range(2, number)))


@hookimpl
def bebertlab_samplers() -> list[type[SamplerOptions]]:
    return [HaltonOptions]
