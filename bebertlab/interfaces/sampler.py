"""Samplers: which points of a search space a study tries."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from attrs import field, frozen, validators

from bebertlab.interfaces.metric_names import VALIDATION_SCORE
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.values import identity, same

SearchPoint = Mapping[str, Any]
"""Searched paths to values."""


@frozen(kw_only=True)
class SearchDimension:
    """The values of one searched path; exactly one of `choice`, `uniform`, `loguniform` and `integer` is given."""

    choice: tuple[Any, ...] | None = None  #: the values themselves
    uniform: tuple[float, float] | None = None  #: lowest and highest number
    loguniform: tuple[float, float] | None = None  #: lowest and highest number, uniform on a logarithmic scale
    integer: tuple[int, int] | None = None  #: lowest and highest integer, both included
    #: the dimension exists only where earlier searched paths have these values: each one value, or a list of them
    when: Mapping[str, Any] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        given = [name for name in ("choice", "uniform", "loguniform", "integer") if getattr(self, name) is not None]
        if len(given) != 1:
            actual = " and ".join(given) or "none"
            raise ValueError(f"has {actual}; expected one of choice, uniform, loguniform, integer")
        if self.choice is not None:
            _check_choice(self.choice)
        else:
            _check_range(given[0], getattr(self, given[0]))

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value.

        Raises:
            TypeError: the values are a choice.
        """
        for bounds in (self.uniform, self.loguniform, self.integer):
            if bounds is not None:
                return bounds
        raise TypeError("a choice has no range")

    def index(self, value: object) -> int:
        """The position of a value among the choices.

        Raises:
            ValueError: it is not among them.
        """
        return [identity(item) for item in self.choice or ()].index(identity(value))

    def exists_at(self, point: SearchPoint) -> bool:
        """Whether a point has a value of this dimension; the point has those of all earlier ones.

        >>> SearchDimension(choice=(1, 2), when={"scheme.kind": ["bit", "bibert"]}).exists_at({"scheme.kind": "bit"})
        True
        """
        return all(
            path in point
            and any(same(point[path], value) for value in (values if isinstance(values, list) else [values]))
            for path, values in self.when.items()
        )

    def holds(self, value: object) -> bool:
        """Whether the dimension contains a value."""
        if self.choice is not None:
            return any(identity(value) == identity(item) for item in self.choice)
        low, high = self.range
        kinds = (int,) if self.integer is not None else (int, float)
        return type(value) in kinds and low <= value <= high  # type: ignore[operator] # a number


@frozen(kw_only=True)
class Objective:
    """A metric by which trials are compared, and its direction."""

    metric: str = VALIDATION_SCORE  #: a metric of the recipe's result
    goal: Literal["maximize", "minimize"] = "maximize"

    @property
    def maximize(self) -> bool:
        """Whether higher is better."""
        return self.goal == "maximize"


@frozen(kw_only=True)
class Constraint:
    """A limit on a metric; exactly one of `at_most` and `at_least` is given."""

    metric: str  #: of the recipe's result
    at_most: float | None = None
    at_least: float | None = None

    def __attrs_post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("expected one of at_most and at_least")

    def excess(self, value: float) -> float:
        """By how much a value breaks the limit; 0 or below where it keeps it."""
        return value - self.at_most if self.at_most is not None else (self.at_least or 0.0) - value

    def __str__(self) -> str:
        limit = f"at most {self.at_most:g}" if self.at_most is not None else f"at least {self.at_least:g}"
        return f"{self.metric} {limit}"


@frozen(kw_only=True)
class SearchSpace:
    """The dimensions that a sampler draws points from, and what the study compares them by."""

    dimensions: Mapping[
        str, SearchDimension
    ]  #: by searched path; one that exists conditionally is after its conditions
    objectives: tuple[Objective, ...] = (Objective(),)  #: the first is the primary one
    constraints: tuple[Constraint, ...] = ()  #: a point that breaks one is never best


@frozen(kw_only=True)
class SearchTrial:
    """A point that is tried with one seed."""

    point: SearchPoint
    values: tuple[float, ...] | None = None  #: of the objectives, in their order; None if it is pending or failed
    excesses: tuple[float, ...] = ()  #: by how much it breaks each constraint; empty if it is pending or failed
    pending: bool = False  #: it belongs to the batch that is being drawn


class SearchSampler(ABC):
    """Proposes the points of one study, one after another."""

    @abstractmethod
    def ask(self, index: int, attempt: int, trials: Sequence[SearchTrial]) -> SearchPoint:
        """Propose a point: a value of every dimension that exists at it, in the order of the space.

        `index` counts the points of the study. `attempt` is 0, and 1, 2, ... where the previous proposal was excluded
        or already tried; after some attempts a free point is drawn at random instead. `trials` are those of the
        previous points, in order; a point has one for each seed.

        The proposal must depend on the options and these three arguments alone: the study may be killed and continue
        with a new sampler at any time.
        """


@frozen(kw_only=True)
class SamplerOptions(Options):
    """The options of a sampler that draws points."""

    role: ClassVar[str] = "sampler"
    #: whether it can search for several objectives at once; a study with several is refused otherwise
    multi_objective: ClassVar[bool] = False
    uses_constraints: ClassVar[bool] = False  #: whether it avoids points that break a constraint
    trials: int = field(validator=validators.ge(1))  #: points to try, each with all seeds; raising it extends a study
    batch: int = field(
        default=4, validator=validators.ge(1)
    )  #: points drawn at once, after all earlier ones have finished; the number of workers has no influence
    seed: int = 0  #: of the random numbers

    @abstractmethod
    def build(self, space: SearchSpace) -> SearchSampler:
        """The sampler for a space.

        Raises:
            UserError: it cannot draw from the space.
        """

    def remarks(self) -> tuple[str, ...]:
        """Warnings about options that are valid but possibly unintended."""
        return ()

    def random_seed(self, index: int, attempt: int) -> int:
        """A seed for one proposal, from 0 to 2**32 - 1: reproducible, and different for each index and attempt."""
        text = f"{self.seed}/{index}/{attempt}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


@frozen(kw_only=True)
class PointListOptions(Options):
    """The options of a sampler whose points are known before the first trial, such as a grid."""

    role: ClassVar[str] = "sampler"
    ranges: ClassVar[bool] = False  #: whether it can search a range; a study with one is refused otherwise

    @abstractmethod
    def points(self, space: SearchSpace) -> Iterable[SearchPoint]:
        """Every point, in order; those that the study excludes are removed later."""


def _check_choice(values: tuple[Any, ...]) -> None:
    if not values:
        raise ValueError("choice is empty; list at least one value")
    seen: dict[str, Any] = {}
    for value in values:
        key = identity(value)
        if key in seen:
            pair = (
                f"{value!r} twice" if repr(seen[key]) == repr(value) else f"{seen[key]!r} and {value!r}: they are equal"
            )
            raise ValueError(f"choice has {pair}")
        seen[key] = value


def _check_range(kind: str, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{kind} is [{low}, {high}]; both ends must be finite")
    if low >= high:
        raise ValueError(f"{kind} is [{low}, {high}]; the first number must be smaller")
    if kind == "loguniform" and low <= 0:
        raise ValueError(f"loguniform is [{low}, {high}]; both numbers must be above 0")
