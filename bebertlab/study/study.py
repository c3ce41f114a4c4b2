"""A study as a value: a recipe, what is searched in it, and what is asked of the results."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen, validators

from bebertlab.interfaces.events import Question
from bebertlab.interfaces.sampler import (
    Constraint,
    Objective,
    PointListOptions,
    SamplerOptions,
    SearchDimension,
    SearchSpace,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_GOALS: Mapping[str, Literal["maximize", "minimize"]] = {"max": "maximize", "min": "minimize"}


@frozen(kw_only=True)
class Study:
    """A resolved study: overrides applied, the recipe inside, paths absolute."""

    schema_version: Literal[1] = 1
    name: str = field()  #: letters, digits, `_`, `.`, `-`; also of its folder
    description: str = ""  #: a sentence for people
    relative_to: str = ""  #: folder that relative paths in the recipe's options start from; default: that of the file
    plugins: tuple[str, ...] = ()  #: one-file plugins
    recipe: Mapping[str, Any]  #: plain data of the recipe
    recipe_name: str = ""  #: what reports call the recipe
    search: Mapping[str, SearchDimension] = field(factory=dict)  #: searched paths
    #: points that match every line of an item are left out; a line is a value, a list of them, or `{not: ...}` of these
    exclude: tuple[Mapping[str, Any], ...] = ()
    sampler: SamplerOptions | PointListOptions  #: how points are found; a grid where the file names none
    seeds: tuple[int, ...] = field(default=(0,))  #: every point runs with each of them
    objective: Objective | None = None  #: what trials are compared by; default: validation/score
    #: instead of `objective`, several metrics and whether each is to be high or low; the first is the primary one
    objectives: Mapping[str, Literal["max", "min"]] = field(factory=dict)
    constraints: tuple[
        Constraint, ...
    ] = ()  #: limits on metrics; a point whose means over seeds break one is never best
    questions: tuple[Question, ...] = ()  #: what the report answers
    is_smoke: bool = False  #: whether it is the small version that --smoke runs; its results only show that all works
    threads: int = field(default=1, validator=validators.ge(1))  #: torch threads of a trial; numbers depend on it

    @property
    def goals(self) -> tuple[Objective, ...]:
        """The objectives, the primary one first."""
        listed = tuple(Objective(metric=metric, goal=_GOALS[goal]) for metric, goal in self.objectives.items())
        return listed or (self.objective or Objective(),)

    @property
    def compared(self) -> tuple[str, ...]:
        """The metrics of the objectives and the constraints, each once."""
        names = [objective.metric for objective in self.goals] + [limit.metric for limit in self.constraints]
        return tuple(dict.fromkeys(names))

    @property
    def space(self) -> SearchSpace:
        """What a sampler draws points from."""
        return SearchSpace(dimensions=self.search, objectives=self.goals, constraints=self.constraints)

    @property
    def is_listed(self) -> bool:
        """Whether all points are known before the first trial."""
        return isinstance(self.sampler, PointListOptions)

    @seeds.validator
    def _check_seeds(self, attribute: object, value: tuple[int, ...]) -> None:
        if not value:
            raise ValueError("must not be empty: name at least one seed")
        if len(set(value)) < len(value):
            raise ValueError("has a seed twice; every point runs once with each")

    @name.validator
    def _check_name(self, attribute: object, value: str) -> None:
        if not _NAME.fullmatch(value):
            raise ValueError(f"'{value}' must consist of letters, digits, '_', '.' and '-': it names a folder")

    @objectives.validator
    def _check_objectives(self, attribute: object, value: Mapping[str, str]) -> None:
        if value and self.objective is not None:
            raise ValueError("objective is given as well; give one of objective and objectives")


def show(value: object) -> str:
    """A plain value in a few characters, for names and tables.

    >>> show("two-stage"), show(0.5), show({"kind": "twn", "threshold": 0.7})
    ('two-stage', '0.5', 'twn(threshold=0.7)')
    """
    if isinstance(value, Mapping):
        inner = ",".join(f"{key}={show(item)}" for key, item in value.items() if key != "kind")
        return f"{value.get('kind', '')}({inner})" if inner or "kind" not in value else str(value["kind"])
    return value if isinstance(value, str) else json.dumps(value)
