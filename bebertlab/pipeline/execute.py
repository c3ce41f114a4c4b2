"""Running a plan: cached stages are read from the store, the others run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic, perf_counter
from types import MappingProxyType

from attrs import evolve, field, frozen

from bebertlab.artifacts.baselines import baseline_metrics
from bebertlab.errors import EXIT_TRIALS_FAILED, SetupError, UserError
from bebertlab.inference.devices import torch_threads
from bebertlab.interfaces.events import StageEvent, StageFinished, StageProgress, StageResult, StageStarted
from bebertlab.interfaces.metric_names import COST_SECONDS, MAJORITY, VALIDATION_SCORE, baseline_metric, stage_seconds
from bebertlab.interfaces.stage import Artifact, Codec, Context, Inputs, ProgressReporter
from bebertlab.interfaces.task import Task
from bebertlab.pipeline.identity import WatchedCodec, known_parts
from bebertlab.pipeline.plan import Node, Plan
from bebertlab.pipeline.train_defaults import trains
from bebertlab.store.disk import disk_full, is_disk_full
from bebertlab.store.manifest import Manifest
from bebertlab.store.store import Claim, Store

Notify = Callable[[StageEvent], None]

#: between two saved states of a training, by default
SAVE_STATE_MINUTES = 5.0
_PROGRESS_SECONDS = 0.5  #: between two progress events without values


class StageError(UserError):
    """A stage failed; the message names it, `__cause__` is its exception."""

    exit_code = EXIT_TRIALS_FAILED


@frozen(kw_only=True)
class Results:
    """The results of a plan."""

    #: metrics of each target by its name, with `cost/...`: the seconds of the stages that it was built from
    targets: Mapping[str, Mapping[str, float]]
    stages: tuple[StageResult, ...]  #: the targets and all stages upstream of them, in the order of the plan

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the only target.

        Raises:
            ValueError: there are several.
        """
        (metrics,) = self.targets.values()
        return metrics


def _ignore(event: StageEvent) -> None:
    pass


@frozen(kw_only=True, eq=False)
class _Run:
    """One execution."""

    plan: Plan
    store: Store
    codec: Codec
    notify: Notify
    trial: int | None
    save_seconds: float
    artifacts: dict[str, Artifact] = field(factory=dict)  #: by name; verified in the store, or built by this run
    results: dict[str, StageResult] = field(factory=dict)  #: by name


def execute(
    plan: Plan,
    store: Store,
    codec: Codec,
    *,
    notify: Notify = _ignore,
    trial: int | None = None,
    targets: Sequence[str] = (),
    save_state_minutes: float = SAVE_STATE_MINUTES,
) -> Results:
    """Run the stages that the ends of a plan (or the stages `targets`) need and the store does not have.

    Stages upstream of a cached stage are not checked. `notify` is called with an event for each stage that starts,
    reports progress or finishes; a cached stage finishes without having started. A stage that trains saves its state
    every `save_state_minutes` (0: never), and continues from the saved one after it was killed.

    Raises:
        StageError: a stage failed; stages that finished before it stay in the store.
        SetupError: a stage has to run and its device is not available.
    """
    targets = targets or plan.ends
    run = _Run(plan=plan, store=store, codec=codec, notify=notify, trial=trial, save_seconds=60 * save_state_minutes)
    nodes = plan.ancestors(*targets)
    missing = _missing(run, targets)
    if missing:
        plan.machine.check()
    if any(trains(plan.nodes[name].stage) for name in missing):
        warm_up(plan.task)
    with torch_threads(plan.machine.threads):
        for node in nodes:
            if node.name in missing:
                _build(run, node)
            else:
                _take_stored(run, node)
    return Results(
        targets={target: _metrics(run, target) for target in targets},
        stages=tuple(run.results[node.name] for node in nodes),
    )


def warm_up(task: Task) -> None:
    """Import the packages that compute metrics.

    Importing them takes seconds, which would count as the cost of the first stage that evaluates.
    """
    split = next(iter(task.splits))
    task.evaluate(split, task.ideal_scores(split))


def missing_stages(plan: Plan, store: Store, targets: Sequence[str] = ()) -> frozenset[str]:
    """Names of the stages that would run for the ends (or `targets`); reads manifests only, so it is quick."""
    return frozenset(_walk(plan, targets or plan.ends, lambda node: store.peek(node.key) is not None))


def _missing(run: _Run, targets: Sequence[str]) -> set[str]:
    def is_stored(node: Node) -> bool:
        artifact = run.store.get(node.key)
        if artifact is not None:
            run.artifacts[node.name] = evolve(artifact, stage=node.name)
        return artifact is not None

    return _walk(run.plan, targets, is_stored)


def _walk(plan: Plan, targets: Sequence[str], is_stored: Callable[[Node], bool]) -> set[str]:
    """The stages to build: targets that are not stored, inputs of these that are not stored, and so on."""
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


def _take_stored(run: _Run, node: Node) -> None:
    manifest = run.store.peek(node.key)
    if manifest is not None:
        _finish(run, node, manifest, stored=True)
        return
    # removed after the stage that reads it was built; the manifest of that stage has its seconds
    seconds = next(
        (manifest.upstream_seconds[node.key] for manifest in _manifests(run) if node.key in manifest.upstream_seconds),
        0.0,
    )
    run.results[node.name] = StageResult(
        stage=node.name, stage_kind=node.kind, key=node.key, stored=True, seconds=seconds
    )


def _manifests(run: _Run) -> Iterator[Manifest]:
    for artifact in run.artifacts.values():
        manifest = run.store.peek(artifact.key)
        if manifest is not None:
            yield manifest


def _build(run: _Run, node: Node) -> None:
    def report_waiting() -> None:
        _progress_reporter(run, node)(0.0, "another process is building it; waiting")

    with run.store.claim(node.key, waiting=report_waiting) as claim:
        stored = claim.artifact is not None
        artifact = claim.artifact or _run_stage(run, node, claim)
    run.artifacts[node.name] = evolve(artifact, stage=node.name)
    manifest = run.store.peek(node.key)
    if manifest is None:
        raise StageError(f"stage {node.name} ({node.kind}): it was removed from the store while the recipe ran")
    _finish(run, node, manifest, stored=stored)


def _run_stage(run: _Run, node: Node, claim: Claim) -> Artifact:
    run.notify(StageStarted(stage=node.name, stage_kind=node.kind, key=node.key, trial=run.trial))
    inputs = {field: tuple(run.artifacts[name] for name in names) for field, names in node.inputs.items()}
    warnings: list[str] = []
    states = claim.states(seconds=run.save_seconds or math.inf)
    context = Context(
        stage=node.name,
        folder=claim.folder,
        seed=node.seed,
        task=run.plan.task,
        encoder=run.plan.recipe.encoder,
        codec=WatchedCodec(run.codec, known_parts(other.parts for other in run.plan.ancestors(node.name))),
        device=run.plan.machine.device,
        cache=run.store.cache,
        progress=_progress_reporter(run, node),
        states=states,
        warn=warnings.append,
    )
    start = perf_counter()
    try:
        node.stage.run(Inputs(artifacts=inputs), context)
        _check_encoder(run, node)
        return claim.commit(
            stage=node.name,
            kind=node.kind,
            parts=node.parts,
            seconds=states.carried_seconds + perf_counter() - start,
            upstream_seconds={
                run.plan.nodes[name].key: seconds for name, seconds in _upstream_seconds(run, node).items()
            },
            warnings=tuple(dict.fromkeys(warnings)),
        )
    except (Exception, SystemExit) as error:  # a stage that exits would end the whole study without a message
        raise _failed(run, node, error) from error


def _check_encoder(run: _Run, node: Node) -> None:
    """Check that the files of the encoder, which a stage without inputs may read, are still those in its key.

    Raises:
        SetupError: they changed since the recipe was planned.
    """
    if not node.needs and run.plan.recipe.encoder.digest() != node.parts["encoder"]["digest"]:
        kind = run.plan.recipe.encoder.kind
        raise SetupError(f"the files of encoder '{kind}' changed since the recipe was planned; run it again")


def _failed(run: _Run, node: Node, error: Exception | SystemExit) -> StageError:
    if isinstance(error, Exception) and is_disk_full(error):
        error = disk_full(run.store.root.parent)
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    failed = StageError(f"stage {node.name} ({node.kind}): {text.removeprefix(f'{node.name}: ')}")
    if isinstance(error, UserError):
        failed.exit_code = error.exit_code
    return failed


def _progress_reporter(run: _Run, node: Node) -> ProgressReporter:
    last = -math.inf

    def report(
        fraction: float,
        text: str,
        values: Mapping[str, float] = MappingProxyType({}),
        *,
        step: int | None = None,
        epoch: float | None = None,
    ) -> None:
        nonlocal last
        if values or monotonic() - last >= _PROGRESS_SECONDS:
            last = monotonic()
            progress = StageProgress(
                stage=node.name,
                stage_kind=node.kind,
                key=node.key,
                trial=run.trial,
                fraction=fraction,
                text=text,
                values={name: _number(name, value) for name, value in values.items()},
                step=step,
                epoch=epoch,
            )
            run.notify(progress)

    return report


def _number(name: str, value: object) -> float:
    """A reported value as a plain number, also that of an array or tensor with one element."""
    try:
        return float(value)  # type: ignore[arg-type] # of a plugin
    except (TypeError, ValueError) as error:
        raise UserError(f"its progress has {name} = {value!r}; expected a number") from error


def _finish(run: _Run, node: Node, manifest: Manifest, *, stored: bool) -> None:
    result = StageResult(
        stage=node.name,
        stage_kind=node.kind,
        key=node.key,
        stored=stored,
        seconds=manifest.seconds,
        metrics=manifest.metrics,
        warnings=manifest.warnings,
    )
    run.results[node.name] = result
    run.notify(StageFinished.of(result, run.trial))


def _upstream_seconds(run: _Run, node: Node) -> dict[str, float]:
    """Seconds of every stage upstream of a node, by name; stages of equal keys count once."""
    names = {other.key: other.name for other in reversed(run.plan.ancestors(node.name)) if other.name != node.name}
    return {name: run.results[name].seconds for name in names.values()}


def _metrics(run: _Run, target: str) -> dict[str, float]:
    """The metrics of a target, its whole cost, and the cost of each stage and group of the recipe."""
    node = run.plan.nodes[target]
    seconds = {**_upstream_seconds(run, node), target: run.results[target].seconds}
    costs: dict[str, float] = {}
    for other in run.plan.ancestors(target):
        name = stage_seconds(other.top)
        costs[name] = costs.get(name, 0.0) + run.results[other.name].seconds
    metrics = run.results[target].metrics
    return {**metrics, **_baselines(run.plan.task, metrics), COST_SECONDS: sum(seconds.values()), **costs}


def _baselines(task: Task, metrics: Mapping[str, float]) -> Mapping[str, float]:
    """The scores of majority and chance, for stages that write a score without them."""
    missing = VALIDATION_SCORE in metrics and baseline_metric(MAJORITY, VALIDATION_SCORE) not in metrics
    return baseline_metrics(task) if missing else {}
