"""Recipes of trials: a study's recipe at a point and seed, and its plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import attrs

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import Place, YamlDocument
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.events import PlannedStage, TrialRecord
from bebertlab.interfaces.sampler import SearchPoint
from bebertlab.interfaces.values import identity
from bebertlab.pipeline.graph import expand, result_of
from bebertlab.pipeline.locate import located
from bebertlab.pipeline.paths import path_depth, set_value
from bebertlab.pipeline.plan import ComputeSettings, Plan, plan, with_seed
from bebertlab.pipeline.read import recipe_of
from bebertlab.pipeline.recipe import Recipe
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab.registry.manager import Plugins
from bebertlab.registry.registry import Registry
from bebertlab.store.fingerprint import canonical
from bebertlab.study.messages import PlannedTrial
from bebertlab.study.metrics import check_family
from bebertlab.study.space import listed_points, show_point
from bebertlab.study.study import Study

_SHOWN = 10


class DataError(UserError):
    """The data of a task are invalid: at every point that has the task."""


class Planner:
    """Plans recipes of plain data; loads each task once, and plans recipes that differ only in the seed once."""

    def __init__(self, plugins: Plugins, machine: ComputeSettings) -> None:
        self.codec = OptionsCodec(plugins.registry)
        self._materials = TaskCache(self.codec)
        self._machine = machine
        self._plans: dict[str, Plan] = {}  # by the data of their recipes without the seed

    def plan(self, recipe: Mapping[str, Any]) -> Plan:
        """The plan of a recipe.

        Raises:
            UserError: the recipe is invalid or has no single result, or a stage cannot run like this.
            DataError: the data are invalid.
            SetupError: the data are missing.
        """
        seed = recipe.get("seed")
        if type(seed) is not int:
            return self._plan(recipe)
        key = canonical({**recipe, "seed": None})
        if key not in self._plans:
            self._plans[key] = self._plan(recipe)
        return with_seed(self._plans[key], seed)

    def _plan(self, recipe: Mapping[str, Any]) -> Plan:
        parsed = recipe_of(YamlDocument.of(recipe), self.codec)
        result_of(parsed)
        try:
            self._materials.task(parsed.task)
        except SetupError:
            raise
        except UserError as error:
            raise DataError(str(error)) from error
        return plan(parsed, self._materials, self.codec, self._machine)


class PointErrors:
    """The errors of some points, each reported once."""

    def __init__(self, points: int) -> None:
        self._count = points
        self._errors: dict[str, dict[str, None]] = {}  # to the points that have it, in order
        self._exit_code = UserError.exit_code

    def note(self, point: SearchPoint, error: UserError) -> None:
        """Note the errors of a point, one for each line; an indented line continues the one before."""
        self._exit_code = max(self._exit_code, error.exit_code)
        for line in re.split(r"\n(?!\s)", str(error)):
            self._errors.setdefault(" ".join(line.split()), {})[show_point(point)] = None

    def raise_all(self) -> None:
        """Raise the errors, if there are any; one of every point is reported without naming points.

        Raises:
            UserError: the errors, one a line.
        """
        shared = [error for error, points in self._errors.items() if len(points) == self._count]
        single = [f"{_named(points)}: {error}" for error, points in self._errors.items() if error not in shared]
        if single:
            more = [f"... and {len(single) - _SHOWN} more"] if len(single) > _SHOWN else []
            heading = "these points cannot run; exclude or correct them:"
            shared.append("\n  ".join([heading, *single[:_SHOWN], *more]))
        if shared:
            error = UserError("\n".join(shared))
            error.exit_code = self._exit_code
            raise error


def recipe_at(study: Study, point: SearchPoint, seed: int, registry: Registry) -> dict[str, Any]:
    """The study's recipe with a point's values and a seed; its paths are absolute.

    Raises:
        UserError: a path does not exist.
    """
    place = Place(origin="", folder=study.relative_to)
    document = YamlDocument.of(study.recipe, place)
    # a part first, then its options
    for path in sorted(point, key=lambda path: path_depth(document, path)):
        document = set_value(document, path, point[path], attrs.evolve(place, origin=path), registry)
    document = located(document, registry)
    data: dict[str, Any] = document.put(("seed",), YamlDocument.of(seed)).data
    return data


def check_points(study: Study, registry: Registry) -> tuple[str, ...]:
    """Check the recipe at every point of a grid, and the metrics of the objectives; no data are loaded.

    Returns the stages that the result needs at no point, by their names in the recipe.

    Raises:
        UserError: points at which the recipe is invalid, one a line; or no task has such a metric.
    """
    codec = OptionsCodec(registry)
    points: Sequence[SearchPoint] = listed_points(study) if study.is_listed else ({},)
    errors = PointErrors(len(points))
    recipes: list[Recipe] = []
    for point in points:
        try:
            recipe = recipe_of(YamlDocument.of(recipe_at(study, point, study.seeds[0], registry)), codec)
            result_of(recipe)
            recipes.append(recipe)
        except UserError as error:
            errors.note(point, error)
    if study.is_listed:  # else the recipe by itself may be invalid, and valid at every point
        errors.raise_all()
    for recipe in recipes:
        for objective in study.goals:
            check_family(objective.metric, recipe, place="objectives" if study.objectives else "objective")
        for index, constraint in enumerate(study.constraints):
            check_family(constraint.metric, recipe, place=f"constraints[{index}]")
    return never_needed([(recipe.stages, expand(recipe.stages).needed(result_of(recipe))) for recipe in recipes])


def never_needed(trials: Iterable[tuple[Iterable[str], Set[str]]]) -> tuple[str, ...]:
    """The stages of recipes that no trial needs; `trials` gives the stages of its recipe and those it needs.

    >>> never_needed([(["a", "b", "c"], {"a"}), (["a", "b", "c"], {"b"})])
    ('c',)
    """
    stages: dict[str, None] = {}
    needed: set[str] = set()
    for names, wanted in trials:
        stages |= dict.fromkeys(names)
        needed |= wanted
    return tuple(name for name in stages if name not in needed)


def idle_axes(axes: Iterable[str], trials: Iterable[tuple[TrialRecord, str]]) -> frozenset[str]:
    """The searched paths that change no result; `trials` with the keys of their results.

    That is known where trials differ in one path only.
    """
    trials = list(trials)
    return frozenset(axis for axis in axes if _is_idle(axis, trials))


def _is_idle(axis: str, trials: Iterable[tuple[TrialRecord, str]]) -> bool:
    results: dict[str, list[str]] = {}
    for record, key in trials:
        others = {path: value for path, value in record.parameters.items() if path != axis}
        results.setdefault(identity([others, record.seed]), []).append(key)
    pairs = [keys for keys in results.values() if len(keys) > 1]
    return bool(pairs) and all(len(set(keys)) == 1 for keys in pairs)


def _named(points: Iterable[str]) -> str:
    first, *others = points
    more = f" and {len(others)} more point{'' if len(others) == 1 else 's'}" if others else ""
    return f"{first}{more}"


def planned(plan: Plan, recipe: Mapping[str, Any]) -> PlannedTrial:
    """What a trial of a plan will run: the stages that its result needs."""
    stages = tuple(
        PlannedStage(stage=node.name, stage_kind=node.kind, key=node.key) for node in plan.ancestors(plan.result.name)
    )
    return PlannedTrial(recipe=recipe, stages=stages, result=plan.result.key)
