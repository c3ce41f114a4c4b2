"""Recipes of trials: a study's recipe at a point and seed, and its plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import Document
from bebertlab.errors import EnvironmentFault, UserError
from bebertlab.interfaces.events import StageEvent, StagePhase
from bebertlab.manager import Plugins
from bebertlab.recipe.materials import Materials
from bebertlab.recipe.paths import resolve_path, set_value
from bebertlab.recipe.plan import Machine, Plan, plan
from bebertlab.recipe.read import recipe_of
from bebertlab.recipe.recipe import Recipe
from bebertlab.registry import Registry
from bebertlab.study.job import PlannedTrial
from bebertlab.study.objective import check_family
from bebertlab.study.space import grid_points, show_point
from bebertlab.study.study import Point, Study

_SHOWN = 10


class DataFault(UserError):
    """A fault of a task's data: one of every point that has the task."""


class Planner:
    """Plans recipes of plain data; loads each task once."""

    def __init__(self, plugins: Plugins, machine: Machine) -> None:
        self.codec = OptionsCodec(plugins.registry)
        self._materials = Materials(self.codec)
        self._machine = machine

    def plan(self, recipe: Mapping[str, Any]) -> Plan:
        """The plan of a recipe.

        Raises:
            UserError: the recipe has faults, or a stage cannot run like this.
            DataFault: the data have faults.
            EnvironmentFault: the data are not there.
        """
        read = recipe_of(Document.of(recipe), self.codec)
        try:
            self._materials.task(read.task)
        except EnvironmentFault:
            raise
        except UserError as error:
            raise DataFault(str(error)) from error
        return plan(read, self._materials, self.codec, self._machine)


def recipe_at(study: Study, point: Point, seed: int, registry: Registry) -> dict[str, Any]:
    """The study's recipe with a point's values and a seed.

    Raises:
        UserError: a path leads nowhere.
    """
    document = Document.of(study.recipe)
    # a part first, then what is searched inside of it
    for path in sorted(point, key=lambda path: len(resolve_path(document, path, registry))):
        document = set_value(document, path, point[path], path, registry)
    data: dict[str, Any] = document.put(("seed",), Document.of(seed)).data
    return data


def check_points(study: Study, registry: Registry) -> None:
    """Check the recipe at every point of a grid, and the metric that they are compared by; no data are loaded.

    Raises:
        UserError: points at which the recipe has faults, one a line; or no task has such a metric.
    """
    is_grid = study.sampler.kind == "grid"
    codec = OptionsCodec(registry)
    faults: dict[str, str] = {}
    recipes: list[Recipe] = []
    for point in grid_points(study) if is_grid else ({},):
        try:
            recipes.append(recipe_of(Document.of(recipe_at(study, point, study.seeds[0], registry)), codec))
        except UserError as error:
            faults.setdefault(" ".join(str(error).split()), show_point(point))
    if is_grid:  # else the recipe itself may be wrong, and right at every point
        raise_unfit(faults)
    for recipe in recipes:
        check_family(study.objective.metric, recipe)


def raise_unfit(faults: Mapping[str, str]) -> None:
    """Raise faults of points, if there are any; keys are the faults, values the first point of each.

    Raises:
        UserError: the faults, one a line.
    """
    if faults:
        lines = [f"{point}: {fault}" for fault, point in faults.items()]
        more = [f"... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        words = "these points cannot run; leave them out under exclude, or mend them:"
        raise UserError("\n  ".join([words, *lines[:_SHOWN], *more]))


def planned(plan: Plan, recipe: Mapping[str, Any], number: int | None = None) -> PlannedTrial:
    """What a trial of a plan will run: the stages that its result needs."""
    stages = tuple(
        StageEvent(stage=node.name, stage_kind=node.kind, key=node.key, phase=StagePhase.STARTED, trial=number)
        for node in plan.behind(plan.result.name)
    )
    return PlannedTrial(recipe=recipe, stages=stages, result=plan.result.key)
