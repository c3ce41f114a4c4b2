"""The stages of a recipe as a graph: names, inputs, groups, cycles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import Any

import attrs

from bebertlab.config.document import Keys, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.schema import schema_of
from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.stage import StageGroupOptions, StageOptions, input_fields, input_names
from bebertlab.pipeline.recipe import EXTENDS, PER_TASK, Recipe, Stage
from bebertlab.registry.registry import Registry

RECIPE_KEYS = (*attrs.fields_dict(Recipe), PER_TASK, EXTENDS)
STUDY_KEYS = (
    *(
        "schema_version",
        "name",
        "description",
        "plugins",
        "recipe",
        "recipe_name",
        "set",
        "search",
        "exclude",
        "relative_to",
        "sampler",
        "seeds",
    ),
    *("objective", "objectives", "constraints", "questions", "threads", "smoke", "is_smoke"),
)
#: names that a stage cannot have, since paths begin with a key of the study, a key of the recipe or a stage's name
RESERVED = frozenset({*RECIPE_KEYS, *STUDY_KEYS, "kind"})


@attrs.frozen
class Graph:
    """Single stages by name, in the order of the recipe, and the groups that contain some of them."""

    stages: Mapping[str, StageOptions]
    groups: Mapping[str, tuple[str, ...]]  #: group to its stages

    def members(self, name: str) -> tuple[str, ...]:
        """The stages of a name: those of a group, or the single stage."""
        return self.groups.get(name, (name,))

    def top(self, name: str) -> str:
        """The name of a stage in the recipe: that of its group if it has one."""
        return next((group for group, members in self.groups.items() if name in members), name)

    def named(self, names: Iterable[str]) -> tuple[str, ...]:
        """The single stages of names of stages and groups, in order."""
        return tuple(dict.fromkeys(stage for name in names for stage in self.members(name)))

    def inputs(self, name: str) -> tuple[str, ...]:
        """The single stages that a stage needs."""
        return self.named(chain.from_iterable(input_names(self.stages[name]).values()))

    def needed(self, *names: str) -> set[str]:
        """The stages and groups of the recipe that some stages need, these included."""
        needed, todo = set(names), list(names)
        while todo:
            new = set(self.inputs(todo.pop())) - needed
            needed |= new
            todo += new
        return {self.top(name) for name in needed}

    def ends(self) -> tuple[str, ...]:
        """The stages that no other stage reads; of a group that no stage outside of it reads, all stages."""
        reads = [(name, needed) for name in self.stages for needed in self.inputs(name)]
        read = {needed for _, needed in reads}
        read_outside = {self.top(needed) for name, needed in reads if self.top(needed) != self.top(name)}
        return tuple(name for name in self.stages if name not in read or self.top(name) not in read_outside)


def result_of(recipe: Recipe) -> str:
    """The name of the stage whose metrics are a recipe's result.

    Raises:
        UserError: no stage is named, and there are several that no other stage reads.
    """
    if recipe.result is not None:
        return recipe.result
    ends = expand(recipe.stages).ends()
    if len(ends) > 1:
        raise UserError(
            f"there are {len(ends)} stages that no other stage reads ({', '.join(ends)}); name the one whose metrics"
            f" are compared, e.g. `result: {ends[-1]}`"
        )
    return ends[0]


def expand(stages: Mapping[str, Stage]) -> Graph:
    """Replace groups by their stages.

    Raises:
        UserError: the options of a group are invalid.
    """
    singles: dict[str, StageOptions] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for name, stage in stages.items():
        if isinstance(stage, StageGroupOptions):
            members = stage.expand(name)
            singles |= members
            groups[name] = tuple(members)
        else:
            singles[name] = stage
    return Graph(singles, groups)


def check_graph(
    document: YamlDocument, stages: Mapping[str, Stage | None], registry: Registry, errors: ErrorCollector
) -> str | None:
    """Check names, inputs, groups, cycles and the result; returns the name of the result stage.

    That is the stage that the recipe names, or the only one that no other stage reads; None where there are several.
    A stage that is None is invalid; everything that can be checked without it is checked.
    """
    graph = _expand_checked(document, stages, errors)
    for name in stages:
        _check_name(document, name, errors)
        _check_inputs(document, name, stages, graph, registry, errors)
    result = _check_result(document, stages, graph, errors)
    if not errors:
        _check_cycle(document, graph, errors)
    return result


def _expand_checked(document: YamlDocument, stages: Mapping[str, Stage | None], errors: ErrorCollector) -> Graph:
    singles: dict[str, StageOptions] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for name, stage in stages.items():
        if stage is None:
            continue
        try:
            graph = expand({name: stage})
        except UserError as error:
            errors.add(document, ("stages", name), str(error))
        else:
            singles |= graph.stages
            groups |= graph.groups
    return Graph(singles, groups)


def _check_name(document: YamlDocument, name: str, errors: ErrorCollector) -> None:
    path = ("stages", name)
    if name in RESERVED:
        errors.add(document, path, f"a stage cannot be called '{name}': it is a key of recipes and studies", key=True)
    if "." in name or not name:
        errors.add(document, path, "the name of a stage must not be empty, nor have a dot", key=True)


def _check_inputs(
    document: YamlDocument,
    name: str,
    stages: Mapping[str, Stage | None],
    graph: Graph,
    registry: Registry,
    errors: ErrorCollector,
) -> None:
    data = document.get(("stages", name))
    cls = schema_of(Stage).class_of(data, registry)
    if cls is None or not isinstance(data, Mapping):
        return
    for field, many in input_fields(cls).items():
        value, path = data.get(field), ("stages", name, field)
        if isinstance(value, str):
            what = _input_error(value, many, stages, graph)
            if what:
                errors.add(document, path, what)
        elif many and isinstance(value, list):
            _check_list(document, path, value, stages, graph, errors)


def _check_list(
    document: YamlDocument,
    path: Keys,
    values: list[Any],
    stages: Mapping[str, Stage | None],
    graph: Graph,
    errors: ErrorCollector,
) -> None:
    """Check a list of inputs: each item by itself, and that no stage is named twice."""
    if not values:
        errors.add(document, path, "must name at least one stage")
    named: dict[str, str] = {}
    for index, value in enumerate(values):
        if not isinstance(value, str):
            continue
        what = _input_error(value, True, stages, graph)
        twice = next((stage for stage in graph.members(value) if stage in named), None)
        if what is None and twice is not None:
            first = f", first by '{named[twice]}'" if named[twice] != value else ""
            what = f"stage '{twice}' is named twice{first}"
        if what:
            errors.add(document, (*path, index), what)
        named |= dict.fromkeys(graph.members(value), value)


def _input_error(value: str, many: bool, stages: Mapping[str, Stage | None], graph: Graph) -> str | None:
    group = value.partition(".")[0]
    if value not in stages and value not in graph.stages and not ("." in value and stages.get(group, "") is None):
        return f"there is no stage '{value}'; {suggestion(value, [*stages, *graph.stages])}"
    if value in graph.groups and not many:
        return f"'{value}' is a group of stages; name one of {', '.join(graph.groups[value])}"
    return None


def _check_result(
    document: YamlDocument, stages: Mapping[str, Stage | None], graph: Graph, errors: ErrorCollector
) -> str | None:
    name: Any = document.data.get("result")
    if not isinstance(name, str):
        ends = graph.ends()
        return ends[0] if len(ends) == 1 else None
    if name not in stages and name not in graph.stages:
        errors.add(document, ("result",), f"there is no stage '{name}'; {suggestion(name, stages)}")
    elif name in graph.groups:
        errors.add(
            document,
            ("result",),
            f"'{name}' is a group of stages, and the result is that of one stage; name one of"
            f" {', '.join(graph.groups[name])}, or a stage that reads them",
        )
    return name


def _check_cycle(document: YamlDocument, graph: Graph, errors: ErrorCollector) -> None:
    try:
        TopologicalSorter({name: graph.inputs(name) for name in graph.stages}).prepare()
    except CycleError as error:
        cycle: Sequence[str] = error.args[1]
        shown = " -> ".join(reversed(list(_tops(graph, cycle))))
        first = graph.top(cycle[-1])
        errors.add(document, ("stages", first), f"the stages form a cycle: {shown}", key=True)


def _tops(graph: Graph, names: Iterable[str]) -> Iterable[str]:
    """The names in the recipe, without repeats from stages of one group in a row."""
    last = None
    for name in names:
        top = graph.top(name)
        if top != last:
            yield top
        last = top
