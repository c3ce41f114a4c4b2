"""What a recipe would do: its stages in order, each with the key of what it will leave in the store. No effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

import torch
from attrs import evolve, field, frozen, validators

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import SetupError, UserError, show_exception
from bebertlab.formats import STAGE_KEY
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
            raise UserError(f"device '{device}' is none that torch knows; e.g. cpu, cuda or cuda:1") from None

    def check(self) -> None:
        """Check that the device is there.

        Raises:
            SetupError: it is not.
        """
        try:
            torch.empty(1, device=self.device)
        except (RuntimeError, AssertionError) as error:
            first = next(iter(str(error).splitlines()), "")
            raise SetupError(f"device '{self.device}' cannot be used: {first}") from error

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
    top: str  #: the recipe's own name: that of its group, if it came from one
    stage: StageOptions  #: as it will run
    seed: int
    inputs: Mapping[str, tuple[str, ...]]  #: field to names of nodes
    spec: QuantSpec | None  #: of the model that it leaves; None where it leaves none or does not say
    key: str
    parts: Mapping[str, Any]  #: what the key is the hash of
    model: PlannedModel | None = None  #: what is known of the model that it will write

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
        """The nodes of a name in the recipe: those of a group, or a single one; empty where there is none."""
        return tuple(node.name for node in self.nodes.values() if name in (node.name, node.top))

    def left_out(self, targets: Iterable[str]) -> tuple[str, ...]:
        """The stages that are not needed to make the targets, by the recipe's own names."""
        needed = {node.name for node in self.ancestors(*targets)}
        wanted = {node.top for node in self.nodes.values() if node.name in needed}
        tops = dict.fromkeys(node.top for node in self.nodes.values())
        partly = (node.name for node in self.nodes.values() if node.top in wanted and node.name not in needed)
        return (*(top for top in tops if top not in wanted), *partly)

    def ancestors(self, *names: str) -> tuple[Node, ...]:
        """Nodes and everything upstream of them, in the order of the plan."""
        wanted, todo = set(names), list(names)
        while todo:
            new = set(self.nodes[todo.pop()].needs) - wanted
            wanted |= new
            todo += new
        return tuple(node for node in self.nodes.values() if node.name in wanted)


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
        own = _seed_of(node.stage, seed)
        keys = {field: [nodes[needed].key for needed in names] for field, names in node.inputs.items()}
        if (own, keys) == (node.seed, node.parts[INPUTS]):
            nodes[name] = node
            continue
        parts = {**node.parts, "seed": own, INPUTS: keys}
        nodes[name] = evolve(node, seed=own, parts=parts, key=fingerprint(parts))
    return evolve(plan, recipe=evolve(plan.recipe, seed=seed), nodes=nodes)


def _seed_of(stage: StageOptions, seed: int) -> int:
    """The seed of a stage in a recipe with a seed: the same one for all recipes where nothing is drawn."""
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
        self.made: dict[str, Node | None] = {}  # None: it is invalid, or needs one that is
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
        return {name: node for name, node in self.made.items() if node is not None}

    def visit(self, name: str) -> None:
        """Make the node of a stage, after those of its inputs."""
        if name in self.made:
            return
        for needed in self.graph.inputs(name):
            self.visit(needed)
        if any(self.made[needed] is None for needed in self.graph.inputs(name)):
            self.made[name] = None
            return
        try:
            self.made[name] = self.node(name)
        except UserError as error:
            self.fail(name, str(error), error)
        except Exception as error:  # of a plugin: those of ours are tested
            self.fail(name, show_exception(error), error)

    def fail(self, name: str, text: str, error: Exception) -> None:
        """Note why a stage has no node."""
        top = self.graph.top(name)
        self.errors.setdefault(f"stage {top} ({self.recipe.stages[top].kind}): {text}", error)
        self.made[name] = None

    def node(self, name: str) -> Node:
        """The node of a stage whose inputs have theirs."""
        stage = self.graph.stages[name]
        prepared = stage.prepare(
            {
                field: tuple(self.needed(one).stage for one in self.graph.named(names))
                for field, names in input_names(stage).items()
            },
            self.planning.task,
            self.codec,
        )
        inputs = {field: self.graph.named(names) for field, names in input_names(prepared).items()}
        seed = _seed_of(prepared, self.recipe.seed)
        models = {field: tuple(self.needed(one).model for one in names) for field, names in inputs.items()}
        keys = {field: [self.needed(one).key for one in names] for field, names in inputs.items()}
        designs = {field: tuple(self.needed(one).spec for one in names) for field, names in inputs.items()}
        composition = prepared.composition(designs, self.codec)
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
        node = self.made[name]
        if node is None:
            raise AssertionError("a stage is visited after its inputs")
        return node

    def group(self, name: str) -> dict[str, Any]:
        """The part of a stage's key that comes from its group."""
        top = self.recipe.stages[self.graph.top(name)]
        return {"group": group_identity(top, self.codec)} if isinstance(top, StageGroupOptions) else {}
