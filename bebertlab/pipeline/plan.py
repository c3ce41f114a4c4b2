"""Planning a recipe, without side effects: its stages in order, each with the key of its result in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

import torch
from attrs import evolve, field, frozen, validators

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError, show_exception
from bebertlab.formats import STAGE_KEY
from bebertlab.inference.devices import check_device
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.stage import PlannedModel, Planning, StageGroupOptions, StageOptions, input_names
from bebertlab.interfaces.task import Task
from bebertlab.model.spec import check_sites
from bebertlab.pipeline.graph import Graph, expand, result_of
from bebertlab.pipeline.identity import composition_identity, group_identity, options_identity, stage_identity
from bebertlab.pipeline.recipe import Recipe
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab.store.fingerprint import fingerprint
from bebertlab.store.why import INPUTS

#: packages whose releases may change tokens, draws or weights; what else computes (scipy and scikit-learn: metrics) has
#: fixed definitions, and a new release of those need not train everything again
_PACKAGES = ("torch", "numpy", "tokenizers", "transformers")


@frozen(kw_only=True)
class ComputeSettings:
    """The settings of a machine that results depend on."""

    threads: int = field(default=1, validator=validators.ge(1))  #: of torch
    device: str = field(default="cpu")  #: as torch names it

    @device.validator
    def _check_device(self, _: object, device: str) -> None:
        try:
            torch.device(device)
        except RuntimeError:
            raise UserError(f"device '{device}' is not known to torch; use e.g. cpu, cuda or cuda:1") from None

    def check(self) -> None:
        """Check that the device is there.

        Raises:
            SetupError: it is not.
        """
        check_device(self.device)

    def parts(self) -> dict[str, Any]:
        """The parts of every key."""
        return {**_versions(), "threads": self.threads, "device": self.device.partition(":")[0]}


@cache
def _versions() -> Mapping[str, str]:
    return {name: version(name) for name in _PACKAGES} | {"torch": torch.__version__}


@frozen(kw_only=True, eq=False)
class Node:
    """A stage of a plan."""

    name: str
    top: str  #: name in the recipe: that of its group if it has one
    stage: StageOptions  #: as it will run
    seed: int
    inputs: Mapping[str, tuple[str, ...]]  #: field to names of nodes
    spec: QuantSpec | None  #: of the model that it writes; None if it writes none or does not declare it
    key: str
    parts: Mapping[str, Any]  #: what the key is the hash of
    model: PlannedModel | None = None  #: known properties of the model that it will write

    @property
    def kind(self) -> str:
        """Kind of the stage."""
        return self.stage.kind

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the nodes that it reads."""
        return tuple(dict.fromkeys(name for names in self.inputs.values() for name in names))


@frozen(kw_only=True, eq=False)
class Plan:
    """The stages of a recipe, each after those it reads."""

    recipe: Recipe
    task: Task
    machine: ComputeSettings
    nodes: Mapping[str, Node]
    ends: tuple[str, ...]  #: names of the nodes whose metrics are shown: the result, or all that no other stage reads

    @property
    def result(self) -> Node:
        """The stage whose metrics are the recipe's result.

        Raises:
            UserError: the recipe has several ends, and names none of them as its result.
        """
        return self.nodes[result_of(self.recipe)]

    def members(self, name: str) -> tuple[str, ...]:
        """The nodes of a name in the recipe: those of a group, or a single one; empty if there are none."""
        return tuple(node.name for node in self.nodes.values() if name in (node.name, node.top))

    def left_out(self, targets: Iterable[str]) -> tuple[str, ...]:
        """The stages that the targets do not need, by their names in the recipe."""
        needed = {node.name for node in self.ancestors(*targets)}
        needed_names = {node.top for node in self.nodes.values() if node.name in needed}
        tops = dict.fromkeys(node.top for node in self.nodes.values())
        partly = (node.name for node in self.nodes.values() if node.top in needed_names and node.name not in needed)
        return (*(top for top in tops if top not in needed_names), *partly)

    def ancestors(self, *names: str) -> tuple[Node, ...]:
        """Nodes and everything upstream of them, in the order of the plan."""
        needed_names, todo = set(names), list(names)
        while todo:
            new = set(self.nodes[todo.pop()].needs) - needed_names
            needed_names |= new
            todo += new
        return tuple(node for node in self.nodes.values() if node.name in needed_names)


def plan(recipe: Recipe, materials: TaskCache, codec: OptionsCodec, machine: ComputeSettings | None = None) -> Plan:
    """Plan a recipe.

    Raises:
        UserError: a stage cannot run like this, each such stage a line; or the task cannot be loaded.
        SetupError: the task's or encoder's files are not there.
    """
    machine = machine or ComputeSettings()
    task = materials.task(recipe.task)
    common = {
        "format": STAGE_KEY.number,
        "task": {**options_identity(recipe.task, codec), "digest": task.digest},
        "encoder": {
            **options_identity(recipe.encoder, codec),
            "digest": materials.encoder_digest(recipe.encoder),
        },
        "machine": machine.parts(),
    }
    planning = Planning(task=task, codec=codec, encoder=lambda: materials.encoder_model(recipe.encoder, task))
    planner = _Planner(recipe, planning, codec, common)
    ends = planner.graph.ends() if recipe.result is None else (recipe.result,)
    return Plan(recipe=recipe, task=task, machine=machine, nodes=planner.nodes(), ends=ends)


def with_seed(plan: Plan, seed: int) -> Plan:
    """The plan of the same recipe with another seed, which changes the seeds and keys of stages and nothing else."""
    if seed == plan.recipe.seed:
        return plan
    nodes: dict[str, Node] = {}
    for name, node in plan.nodes.items():
        stage_seed = _seed_of(node.stage, seed)
        keys = {field: [nodes[needed].key for needed in names] for field, names in node.inputs.items()}
        if (stage_seed, keys) == (node.seed, node.parts[INPUTS]):
            nodes[name] = node
            continue
        parts = {**node.parts, "seed": stage_seed, INPUTS: keys}
        nodes[name] = evolve(node, seed=stage_seed, parts=parts, key=fingerprint(parts))
    return evolve(plan, recipe=evolve(plan.recipe, seed=seed), nodes=nodes)


def _seed_of(stage: StageOptions, seed: int) -> int:
    """The seed of a stage in a recipe with a seed: the same for all recipes if the stage is deterministic."""
    if stage.deterministic:
        return 0
    return seed if stage.seed is None else stage.seed


class _Planner:
    """One pass over the graph, inputs first."""

    def __init__(self, recipe: Recipe, planning: Planning, codec: OptionsCodec, common: Mapping[str, Any]) -> None:
        self.recipe = recipe
        self.planning = planning
        self.codec = codec
        self.common = common
        self.graph: Graph = expand(recipe.stages)
        self.node_by_name: dict[str, Node | None] = {}  # None: it is invalid, or needs an invalid one
        self.errors: dict[str, Exception] = {}

    def nodes(self) -> dict[str, Node]:
        """All nodes."""
        for name in self.graph.stages:
            self.visit(name)
        if self.errors:
            causes = list(self.errors.values())
            error = UserError("\n".join(self.errors))
            error.exit_code = max(getattr(cause, "exit_code", error.exit_code) for cause in causes)
            raise error from causes[0]
        return {name: node for name, node in self.node_by_name.items() if node is not None}

    def visit(self, name: str) -> None:
        """Create the node of a stage, after those of its inputs."""
        if name in self.node_by_name:
            return
        for needed in self.graph.inputs(name):
            self.visit(needed)
        if any(self.node_by_name[needed] is None for needed in self.graph.inputs(name)):
            self.node_by_name[name] = None
            return
        try:
            self.node_by_name[name] = self.node(name)
        except UserError as error:
            self.fail(name, str(error), error)
        except Exception as error:  # of a plugin: shipped parts are tested
            self.fail(name, show_exception(error), error)

    def fail(self, name: str, text: str, error: Exception) -> None:
        """Record why a stage has no node."""
        top = self.graph.top(name)
        self.errors.setdefault(f"stage {top} ({self.recipe.stages[top].kind}): {text}", error)
        self.node_by_name[name] = None

    def node(self, name: str) -> Node:
        """The node of a stage whose inputs have theirs."""
        stage = self.graph.stages[name]
        prepared = stage.prepare(
            {
                field: tuple(self.needed(stage_name).stage for stage_name in self.graph.named(names))
                for field, names in input_names(stage).items()
            },
            self.planning.task,
            self.codec,
        )
        inputs = {field: self.graph.named(names) for field, names in input_names(prepared).items()}
        seed = _seed_of(prepared, self.recipe.seed)
        models = {
            field: tuple(self.needed(stage_name).model for stage_name in names) for field, names in inputs.items()
        }
        keys = {field: [self.needed(stage_name).key for stage_name in names] for field, names in inputs.items()}
        specs = {field: tuple(self.needed(stage_name).spec for stage_name in names) for field, names in inputs.items()}
        composition = prepared.composition(specs, self.codec)
        if composition is not None and composition.spec is not None:
            check_sites(composition.spec)
        parts = {
            "stage": stage_identity(prepared, self.codec),
            **self.group(name),
            "made_of": composition_identity(prepared, composition, self.codec),
            "seed": seed,
            **self.common,
            INPUTS: keys,
        }
        return Node(
            name=name,
            top=self.graph.top(name),
            stage=prepared,
            seed=seed,
            inputs=inputs,
            spec=composition.spec if composition else None,
            key=fingerprint(parts),
            parts=parts,
            model=prepared.plan_model(models, self.planning),
        )

    def needed(self, name: str) -> Node:
        """The node of an input."""
        node = self.node_by_name[name]
        if node is None:
            raise AssertionError("a stage is visited after its inputs")
        return node

    def group(self, name: str) -> dict[str, Any]:
        """The part of a stage's key that comes from its group."""
        top = self.recipe.stages[self.graph.top(name)]
        return {"group": group_identity(top, self.codec)} if isinstance(top, StageGroupOptions) else {}
