"""Carrying a plan out: what is in the store is read, what is not is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, perf_counter
from typing import Any

import torch
from attrs import evolve, field, frozen

from bebertlab.artifacts.baselines import MAJORITY, baseline_metrics, baseline_name
from bebertlab.errors import EXIT_TRIALS_FAILED, SetupError, UserError
from bebertlab.interfaces.events import StageEvent, StagePhase
from bebertlab.interfaces.stage import Artifact, Codec, Context, Inputs
from bebertlab.interfaces.task import VALIDATION, Task
from bebertlab.pipeline.identity import WatchedCodec, known_parts
from bebertlab.pipeline.plan import Node, Plan
from bebertlab.pipeline.train_defaults import trains
from bebertlab.store.disk import disk_full, is_disk_full
from bebertlab.store.manifest import Manifest
from bebertlab.store.store import Claim, Store

Notify = Callable[[StageEvent], None]

#: seconds between two notices of progress
_PAUSE = 0.5


class StageError(UserError):
    """A stage raised; names the stage. The exception is its cause."""

    exit_code = EXIT_TRIALS_FAILED


@frozen(kw_only=True)
class Results:
    """What a plan came to."""

    #: metrics of each target by its name, with `cost/...`: the seconds of all that it was made from
    targets: Mapping[str, Mapping[str, float]]
    stages: tuple[StageEvent, ...]  #: of all stages behind the targets, in the order of the plan

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the only target.

        Raises:
            ValueError: there are several.
        """
        (metrics,) = self.targets.values()
        return metrics


def _silent(event: StageEvent) -> None:
    """No one to tell."""


@frozen(kw_only=True, eq=False)
class _Run:
    """One execution."""

    plan: Plan
    store: Store
    codec: Codec
    notify: Notify
    trial: int | None
    found: dict[str, Artifact] = field(factory=dict)  #: by name; verified or made
    events: dict[str, StageEvent] = field(factory=dict)  #: by name

    def event(self, node: Node, phase: StagePhase, **more: Any) -> StageEvent:  # noqa: ANN401 - fields of the event
        """An event of a stage."""
        event = StageEvent(stage=node.name, stage_kind=node.kind, key=node.key, phase=phase, trial=self.trial)
        return evolve(event, **more)


def execute(
    plan: Plan,
    store: Store,
    codec: Codec,
    *,
    notify: Notify = _silent,
    trial: int | None = None,
    targets: Sequence[str] = (),
) -> Results:
    """Carry out what the ends of a plan (or the stages `targets`) need and the store does not have.

    Nothing behind a stored stage is looked at. `notify` is told of every stage that started, went on or finished, the
    stored ones included.

    Raises:
        StageError: a stage raised; what was finished before stays in the store.
        SetupError: something is to be made, and the device for it is not there.
    """
    targets = targets or plan.ends
    run = _Run(plan=plan, store=store, codec=codec, notify=notify, trial=trial)
    nodes = plan.behind(*targets)
    missing = _missing(run, targets)
    if missing:
        plan.machine.check()
    if any(trains(plan.nodes[name].stage) for name in missing):
        warm_up(plan.task)
    with _threads(plan.machine.threads):
        for node in nodes:
            if node.name in missing:
                _make(run, node)
            else:
                _stored(run, node)
    return Results(
        targets={target: _metrics(run, target) for target in targets},
        stages=tuple(run.events[node.name] for node in nodes),
    )


def warm_up(task: Task) -> None:
    """Import what the first evaluation of a process imports.

    That takes seconds, which would count as the cost of whichever stage happens to come first.
    """
    split = next(iter(task.splits.values()))
    task.metrics(split.labels, split.labels)


def missing_stages(plan: Plan, store: Store, targets: Sequence[str] = ()) -> frozenset[str]:
    """Names of the stages that the ends (or `targets`) need and that would run; by manifests alone, so quick."""
    return frozenset(_walk(plan, targets or plan.ends, lambda node: store.peek(node.key) is not None))


def _missing(run: _Run, targets: Sequence[str]) -> set[str]:
    def is_stored(node: Node) -> bool:
        artifact = run.store.get(node.key)
        if artifact is not None:
            run.found[node.name] = evolve(artifact, stage=node.name)
        return artifact is not None

    return _walk(run.plan, targets, is_stored)


def _walk(plan: Plan, targets: Sequence[str], is_stored: Callable[[Node], bool]) -> set[str]:
    """The stages to make: the targets that are not stored, and so on through the inputs of those to make."""
    missing: set[str] = set()
    seen: set[str] = set()
    todo = list(targets)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if not is_stored(plan.nodes[name]):
            missing.add(name)
            todo += plan.nodes[name].needs
    return missing


def _stored(run: _Run, node: Node) -> None:
    manifest = run.store.peek(node.key)
    if manifest is not None:
        _finish(run, node, manifest, stored=True)
        return
    # it was removed after the stage that needed it was made; that one knows what it took
    seconds = next(
        (found.behind[node.key] for found in _manifests(run) if node.key in found.behind),
        0.0,
    )
    run.events[node.name] = run.event(node, StagePhase.FINISHED, fraction=1.0, stored=True, seconds=seconds)


def _manifests(run: _Run) -> Iterator[Manifest]:
    for artifact in run.found.values():
        manifest = run.store.peek(artifact.key)
        if manifest is not None:
            yield manifest


def _make(run: _Run, node: Node) -> None:
    def wait() -> None:
        text = "is being made by another process; waiting"
        run.notify(run.event(node, StagePhase.PROGRESS, text=text))

    with run.store.claim(node.key, waiting=wait) as claim:
        stored = claim.artifact is not None
        artifact = claim.artifact or _run_stage(run, node, claim)
    run.found[node.name] = evolve(artifact, stage=node.name)
    manifest = run.store.peek(node.key)
    if manifest is None:
        raise StageError(f"stage {node.name} ({node.kind}): it was removed from the store while the recipe ran")
    _finish(run, node, manifest, stored=stored)


def _run_stage(run: _Run, node: Node, claim: Claim) -> Artifact:
    run.notify(run.event(node, StagePhase.STARTED))
    inputs = Inputs(artifacts={name: tuple(run.found[one] for one in names) for name, names in node.inputs.items()})
    warnings: list[str] = []
    context = Context(
        stage=node.name,
        folder=claim.folder,
        seed=node.seed,
        task=run.plan.task,
        encoder=run.plan.recipe.encoder,
        codec=WatchedCodec(run.codec, known_parts(one.parts for one in run.plan.behind(node.name))),
        device=run.plan.machine.device,
        cache=run.store.cache,
        progress=_progress(run, node),
        warn=warnings.append,
    )
    start = perf_counter()
    try:
        node.stage.run(inputs, context)
        _check_encoder(run, node)
        return claim.commit(
            stage=node.name,
            kind=node.kind,
            parts=node.parts,
            seconds=perf_counter() - start,
            behind={run.plan.nodes[name].key: seconds for name, seconds in _seconds_behind(run, node).items()},
            warnings=tuple(dict.fromkeys(warnings)),
        )
    except Exception as error:
        raise _failed(run, node, error) from error


def _check_encoder(run: _Run, node: Node) -> None:
    """A stage without inputs may have read the files of the encoder, whose content is in its key.

    Raises:
        SetupError: they are others than when the recipe was planned.
    """
    if not node.needs and run.plan.recipe.encoder.digest() != node.parts["encoder"]["digest"]:
        kind = run.plan.recipe.encoder.kind
        raise SetupError(f"the files of encoder '{kind}' changed since the recipe was planned; run it again")


def _failed(run: _Run, node: Node, error: Exception) -> StageError:
    if is_disk_full(error):
        error = disk_full(run.store.root.parent)
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    failed = StageError(f"stage {node.name} ({node.kind}): {text.removeprefix(f'{node.name}: ')}")
    if isinstance(error, UserError):
        failed.exit_code = error.exit_code
    return failed


def _progress(run: _Run, node: Node) -> Callable[[float, str], None]:
    told = 0.0

    def tell(fraction: float, text: str) -> None:
        nonlocal told
        if monotonic() - told >= _PAUSE:
            told = monotonic()
            run.notify(run.event(node, StagePhase.PROGRESS, fraction=fraction, text=text))

    return tell


def _finish(run: _Run, node: Node, manifest: Manifest, *, stored: bool) -> None:
    event = run.event(
        node,
        StagePhase.FINISHED,
        fraction=1.0,
        stored=stored,
        seconds=manifest.seconds,
        metrics=manifest.metrics,
        warnings=manifest.warnings,
    )
    run.events[node.name] = event
    run.notify(event)


def _seconds_behind(run: _Run, node: Node) -> dict[str, float]:
    """Seconds of every stage that a node was made from, by name; one of each key."""
    behind = {one.key: one.name for one in reversed(run.plan.behind(node.name)) if one.name != node.name}
    return {name: run.events[name].seconds for name in behind.values()}


def _metrics(run: _Run, target: str) -> dict[str, float]:
    """The metrics of the target; what it cost as a whole and by the stages and groups of the recipe."""
    node = run.plan.nodes[target]
    seconds = {**_seconds_behind(run, node), target: run.events[target].seconds}
    costs: dict[str, float] = {}
    for one in run.plan.behind(target):
        name = f"cost/{one.top}_seconds"
        costs[name] = costs.get(name, 0.0) + run.events[one.name].seconds
    metrics = run.events[target].metrics
    return {**metrics, **_baselines(run.plan.task, metrics), "cost/seconds": sum(seconds.values()), **costs}


def _baselines(task: Task, metrics: Mapping[str, float]) -> Mapping[str, float]:
    """What majority and chance score, beside scores of a stage that does not say it itself."""
    score = f"{VALIDATION}/score"
    return baseline_metrics(task) if score in metrics and baseline_name(MAJORITY, score) not in metrics else {}


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
