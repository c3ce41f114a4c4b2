"""A study as a value: a recipe, what is searched in it, and what is asked of the results."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen, validators

from bebertlab.interfaces.events import Question
from bebertlab.store.fingerprint import canonical

Point = Mapping[str, Any]
"""Searched paths to values."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_count = validators.ge(1)

#: points that tpe draws at random where the study says nothing
STARTUP = 10


@frozen(kw_only=True)
class SearchDimension:
    """The values of one searched path; exactly one of the four is given."""

    choice: tuple[Any, ...] | None = None  #: the values themselves
    uniform: tuple[float, float] | None = None  #: lowest and highest number
    loguniform: tuple[float, float] | None = None  #: the same, even on a logarithmic scale
    integer: tuple[int, int] | None = None  #: lowest and highest whole number, both included

    def __attrs_post_init__(self) -> None:
        given = [name for name in ("choice", "uniform", "loguniform", "integer") if getattr(self, name) is not None]
        if len(given) != 1:
            said = " and ".join(given) or "nothing"
            raise ValueError(f"says {said}; it needs one of choice, uniform, loguniform, integer")
        if self.choice is not None:
            _check_choice(self.choice)
        else:
            _check_range(given[0], getattr(self, given[0]))

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value of an axis without choices."""
        for bounds in (self.uniform, self.loguniform, self.integer):
            if bounds is not None:
                return bounds
        raise TypeError("an axis of choices has no range")


@frozen(kw_only=True)
class SearchSampler:
    """How points are found."""

    kind: Literal["grid", "random", "tpe"] = "grid"  #: all combinations, drawn evenly, or where good ones were found
    trials: int | None = field(
        default=None, validator=validators.optional(_count)
    )  #: points to try; each with all seeds
    seed: int = 0  #: of the draws
    batch: int = field(
        default=4, validator=_count
    )  #: points drawn at once; fixed, so that the number of workers decides nothing

    startup: int | None = field(
        validator=validators.optional(_count)
    )  #: points that tpe draws at random before it goes by results; 10 as in Optuna, none of other samplers

    @startup.default
    def _startup(self) -> int | None:
        return STARTUP if self.kind == "tpe" else None

    def __attrs_post_init__(self) -> None:
        if self.kind != "tpe" and self.startup is not None:
            raise ValueError(f"startup belongs to the sampler tpe; the sampler {self.kind} goes by no results")
        if self.kind == "tpe" and self.startup is None:
            raise ValueError("startup of the sampler tpe is null; it must be a number, 10 where it is left out")
        if self.kind == "grid" and self.trials is not None:
            raise ValueError("a grid has all combinations; trials belongs to the samplers random and tpe")
        if self.kind != "grid" and self.trials is None:
            raise ValueError(f"the sampler {self.kind} needs trials, the number of points to try")


@frozen(kw_only=True)
class Objective:
    """What makes one trial better than another."""

    metric: str = "validation/score"  #: a metric of the recipe's result stage
    goal: Literal["maximize", "minimize"] = "maximize"  #: which end is the good one


@frozen(kw_only=True)
class Study:
    """A resolved study: overrides applied, the recipe inside, paths absolute."""

    schema_version: Literal[1] = 1
    name: str = field()  #: letters, digits, `_`, `.`, `-`; its folder is called by it
    description: str = ""  #: a sentence for people
    relative_to: str = ""  #: what relative paths in the recipe's options are relative to; that of the file if not named
    plugins: tuple[str, ...] = ()  #: one-file plugins
    recipe: Mapping[str, Any]  #: plain data of the recipe
    recipe_name: str = ""  #: what reports call the recipe
    search: Mapping[str, SearchDimension] = field(factory=dict)  #: searched paths
    #: points that match every line of an item are left out; a line is a value, a list of them, or `{not: ...}` of these
    exclude: tuple[Mapping[str, Any], ...] = ()
    sampler: SearchSampler = field(factory=SearchSampler)  #: how points are found
    seeds: tuple[int, ...] = field(default=(0,))  #: every point runs with each of them
    objective: Objective = field(factory=Objective)  #: what is compared
    questions: tuple[Question, ...] = ()  #: what the report answers
    threads: int = field(default=1, validator=_count)  #: torch threads of a trial; part of what makes numbers repeat

    @seeds.validator
    def _check_seeds(self, attribute: object, value: tuple[int, ...]) -> None:
        if not value:
            raise ValueError("must not be empty: name at least one seed")
        if len(set(value)) < len(value):
            raise ValueError("has a seed twice; every point runs once with each")

    @name.validator
    def _check_name(self, attribute: object, value: str) -> None:
        if not _NAME.fullmatch(value):
            raise ValueError(f"'{value}' must be of letters, digits, '_', '.' and '-': a folder is called by it")


def same(first: object, second: object) -> bool:
    """Whether two plain values are the same to a reader of YAML: 1 and true are not.

    >>> same(1, True), same(1, 1.0), same([1], [1])
    (False, False, True)
    """
    return canonical(first) == canonical(second)


def show(value: object) -> str:
    """A plain value in a few characters, for names and tables.

    >>> show("two-stage"), show(0.5), show({"kind": "twn", "threshold": 0.7})
    ('two-stage', '0.5', 'twn(threshold=0.7)')
    """
    if isinstance(value, Mapping):
        rest = ",".join(f"{key}={show(item)}" for key, item in value.items() if key != "kind")
        return f"{value.get('kind', '')}({rest})" if rest or "kind" not in value else str(value["kind"])
    return value if isinstance(value, str) else json.dumps(value)


def _check_choice(values: tuple[Any, ...]) -> None:
    if not values:
        raise ValueError("choice is empty; list at least one value")
    seen = [canonical(value) for value in values]
    twice = [value for index, value in enumerate(values) if seen.index(canonical(value)) < index]
    if twice:
        raise ValueError(f"choice has {show(twice[0])} twice")


def _check_range(kind: str, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{kind} is [{low}, {high}]; both ends must be finite")
    if low >= high:
        raise ValueError(f"{kind} is [{low}, {high}]; the first number must be smaller")
    if kind == "loguniform" and low <= 0:
        raise ValueError(f"loguniform is [{low}, {high}]; both numbers must be above 0")
