"""The stages of a recipe as a graph: names, inputs, groups, circles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import attrs

from bebertlab.config.document import Document
from bebertlab.config.faults import Faults
from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.stage import StageGroupOptions, StageOptions, input_fields, input_names
from bebertlab.recipe.kinds import class_at
from bebertlab.registry import Registry

Stage = StageOptions | StageGroupOptions

RECIPE_KEYS = (
    *("schema_version", "description", "extends", "task", "encoder", "seed", "train", "stages", "result", "per_task"),
)
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
        "sampler",
        "seeds",
    ),
    *("objective", "questions", "threads", "smoke"),
)
#: what a stage cannot be called, since paths begin with a key of the study, a key of the recipe or a stage's name
RESERVED = frozenset({*RECIPE_KEYS, *STUDY_KEYS, "kind"})


@attrs.frozen
class Graph:
    """Single stages by name, in the order of the recipe, and the groups that some of them came from."""

    stages: Mapping[str, StageOptions]
    groups: Mapping[str, tuple[str, ...]]  #: group to its stages

    def members(self, name: str) -> tuple[str, ...]:
        """The stages that a name means: those of a group, or the one itself."""
        return self.groups.get(name, (name,))

    def top(self, name: str) -> str:
        """The recipe's own name of a stage: that of its group, if it came from one."""
        return next((group for group, members in self.groups.items() if name in members), name)

    def inputs(self, name: str) -> tuple[str, ...]:
        """The single stages that a stage needs."""
        named = input_names(self.stages[name]).values()
        return tuple(dict.fromkeys(one for value in named for one in self.members(value)))


def expand(stages: Mapping[str, Stage]) -> Graph:
    """Replace groups by their stages.

    Raises:
        UserError: a group cannot be what its options say.
    """
    singles: dict[str, StageOptions] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for name, stage in stages.items():
        if isinstance(stage, StageGroupOptions):
            made = stage.expand(name)
            singles |= made
            groups[name] = tuple(made)
        else:
            singles[name] = stage
    return Graph(singles, groups)


def check_graph(document: Document, stages: Mapping[str, Stage | None], registry: Registry, faults: Faults) -> str:
    """Check names, inputs, groups, circles and the result; give the name of the result stage.

    A stage that is None has faults of its own; what can be checked without it still is.
    """
    graph = _expand_checked(document, stages, faults)
    for name in stages:
        _check_name(document, name, faults)
        _check_inputs(document, name, stages, graph, registry, faults)
    result = _check_result(document, stages, graph, faults)
    if not faults:
        _check_circle(document, graph, faults)
    return result


def _expand_checked(document: Document, stages: Mapping[str, Stage | None], faults: Faults) -> Graph:
    singles: dict[str, StageOptions] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for name, stage in stages.items():
        if stage is None:
            continue
        try:
            graph = expand({name: stage})
        except UserError as error:
            faults.add(document, ("stages", name), str(error))
        else:
            singles |= graph.stages
            groups |= graph.groups
    return Graph(singles, groups)


def _check_name(document: Document, name: str, faults: Faults) -> None:
    path = ("stages", name)
    if name in RESERVED:
        faults.add(document, path, f"a stage cannot be called '{name}': it is a key of recipes and studies", key=True)
    if "." in name or not name:
        faults.add(document, path, "the name of a stage must have at least one letter and no dot", key=True)


def _check_inputs(
    document: Document,
    name: str,
    stages: Mapping[str, Stage | None],
    graph: Graph,
    registry: Registry,
    faults: Faults,
) -> None:
    cls = class_at(document, ("stages", name), Stage, registry)
    data = document.get(("stages", name))
    if cls is None or not isinstance(data, Mapping):
        return
    for field, many in input_fields(cls).items():
        value = data.get(field)
        if isinstance(value, str):
            what = _input_fault(value, many, stages, graph)
            if what:
                faults.add(document, ("stages", name, field), what)


def _input_fault(value: str, many: bool, stages: Mapping[str, Stage | None], graph: Graph) -> str | None:
    group = value.partition(".")[0]
    if value not in stages and value not in graph.stages and not ("." in value and stages.get(group, "") is None):
        return f"there is no stage '{value}'; {suggestion(value, [*stages, *graph.stages])}"
    if value in graph.groups and not many:
        return f"'{value}' is a group of stages; name one of {', '.join(graph.groups[value])}"
    return None


def _check_result(document: Document, stages: Mapping[str, Stage | None], graph: Graph, faults: Faults) -> str:
    named: Any = document.data.get("result")
    name = named if isinstance(named, str) else next(reversed(tuple(stages)), "")
    path = ("result",) if "result" in document.data else ("stages", name)
    if named is not None and name not in stages and name not in graph.stages:
        faults.add(document, path, f"there is no stage '{name}'; {suggestion(name, stages)}")
    elif name in graph.groups:
        faults.add(
            document,
            path,
            f"'{name}' is a group of stages, and the result is that of one stage; name it as `result`",
        )
    return name


def _check_circle(document: Document, graph: Graph, faults: Faults) -> None:
    try:
        TopologicalSorter({name: graph.inputs(name) for name in graph.stages}).prepare()
    except CycleError as error:
        circle: Sequence[str] = error.args[1]
        shown = " -> ".join(reversed(list(_tops(graph, circle))))
        first = graph.top(circle[-1])
        faults.add(document, ("stages", first), f"stages need each other in a circle: {shown}", key=True)


def _tops(graph: Graph, names: Iterable[str]) -> Iterable[str]:
    """Without repeats that come from the stages of one group needing each other in a row."""
    last = None
    for name in names:
        top = graph.top(name)
        if top != last:
            yield top
        last = top
