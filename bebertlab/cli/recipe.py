"""`bebertlab recipe`: one recipe in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bebertlab.cli.options import (
    PathType,
    Settings,
    device_option,
    format_option,
    pass_settings,
    set_option,
    table,
    threads_option,
    work_option,
)
from bebertlab.config.humanize import format_duration
from bebertlab.registry.hookspecs import hookimpl

if TYPE_CHECKING:
    from bebertlab.config.codec import OptionsCodec
    from bebertlab.interfaces.events import StageFinished, StageProgress, StageStarted
    from bebertlab.pipeline.execute import Results
    from bebertlab.pipeline.plan import Plan
    from bebertlab.registry.manager import Plugins
    from bebertlab.store.store import Store

_file = click.argument("path", metavar="RECIPE", type=PathType(exists=True, dir_okay=False))
_stage = click.option(
    "--stage",
    metavar="NAME",
    help="Only this stage or group, and what it needs.  [default: the recipe's result, or all stages that none reads]",
)


@click.group()
def recipe() -> None:
    """Plan and run one recipe, without a study."""


@recipe.command()
@_file
@set_option
@_stage
@work_option
@device_option
@threads_option
@format_option
@pass_settings
def run(
    settings: Settings,
    path: Path,
    sets: tuple[str, ...],
    stage: str | None,
    work: Path,
    device: str,
    threads: int,
    form: str,
) -> None:
    """Run RECIPE in this process; stages that are stored are not run again.

    Shows the metrics of the stage that the recipe names as its result, or of every stage that no other stage reads.
    """
    from bebertlab.pipeline.execute import execute
    from bebertlab.store.disk import naming_full_disk
    from bebertlab.store.store import Store

    plugins, plan, codec = planned_recipe(settings, path, sets, device=device, threads=threads)
    store = Store(work / "store")
    targets = _targets(plan, stage)
    plugins.observe(_Lines(targets))
    left_out = plan.left_out(targets)
    if left_out:
        click.echo(f"not run: {', '.join(left_out)} ({_not_needed(targets)})", err=True)
    with naming_full_disk(work):
        results = execute(plan, store, codec, notify=plugins.observers.stage, targets=targets)
    click.echo(_results_json(results) if form == "json" else _results_table(results))


@recipe.command()
@_file
@set_option
@_stage
@work_option
@device_option
@threads_option
@format_option
@pass_settings
def plan(
    settings: Settings,
    path: Path,
    sets: tuple[str, ...],
    stage: str | None,
    work: Path,
    device: str,
    threads: int,
    form: str,
) -> None:
    """Say what `run` would do: the stages in order, their keys, and what is stored. Changes nothing."""
    from bebertlab.store.store import Store

    _, planned, _ = planned_recipe(settings, path, sets, device=device, threads=threads)
    store = Store(work / "store")
    targets = _targets(planned, stage)
    states = _states(planned, store, targets)
    if form == "json":
        rows = [
            {"stage": node.name, "kind": node.kind, "key": node.key, "state": states[node.name]}
            for node in planned.nodes.values()
        ]
        data = {"stages": rows, "result": planned.recipe.result, "targets": targets}
        click.echo(json.dumps(data, indent=2))
        return
    lines = []
    for node in planned.nodes.values():
        manifest = store.peek(node.key)
        took = format_duration(manifest.seconds) if manifest else ""
        lines.append([node.name, node.kind, node.key[:12], took, states[node.name]])
    click.echo(table(["STAGE", "KIND", "KEY", "TOOK", "STATE"], lines))


def planned_recipe(
    settings: Settings, path: Path, sets: tuple[str, ...], *, device: str, threads: int
) -> tuple[Plugins, Plan, OptionsCodec]:
    """The plan of a recipe file with changes from the command line."""
    from bebertlab.config.codec import OptionsCodec
    from bebertlab.config.error_collector import ErrorCollector
    from bebertlab.errors import UserError
    from bebertlab.pipeline.paths import set_value
    from bebertlab.pipeline.plan import ComputeSettings
    from bebertlab.pipeline.plan import plan as plan_recipe
    from bebertlab.pipeline.read import read_recipe, structure_recipe
    from bebertlab.pipeline.task_cache import TaskCache
    from bebertlab.study.overrides import parse_override, sort_overrides

    plugins = settings.load()
    codec = OptionsCodec(plugins.registry)
    document, faults = read_recipe(path), ErrorCollector()
    for change in sort_overrides(map(parse_override, sets)):
        try:
            document = set_value(document, change.path, change.value, change.place, plugins.registry)
        except UserError as error:
            faults.add_error(error, change.place)
    read = structure_recipe(document, codec, faults)
    faults.raise_all()
    if read is None:
        raise AssertionError("a recipe that is None has faults")
    return plugins, plan_recipe(read, TaskCache(codec), codec, ComputeSettings(threads=threads, device=device)), codec


def _targets(plan: Plan, stage: str | None) -> tuple[str, ...]:
    from bebertlab.errors import unknown

    if stage is None:
        return plan.ends
    targets = plan.members(stage)
    if not targets:
        raise unknown("stage", stage, [*plan.nodes, *plan.recipe.stages])
    return targets


def _not_needed(targets: Sequence[str]) -> str:
    return f"not needed by {' and '.join(targets)}"


def _states(plan: Plan, store: Store, targets: Sequence[str]) -> Mapping[str, str]:
    from bebertlab.pipeline.execute import missing_stages

    missing = missing_stages(plan, store, targets)
    needed = {node.name for node in plan.ancestors(*targets)}

    def state(name: str) -> str:
        if name in missing:
            return "would run"
        if store.peek(plan.nodes[name].key) is not None:
            return "stored"
        return "behind what is stored" if name in needed else _not_needed(targets)

    return {name: state(name) for name in plan.nodes}


def _group(stage: str) -> str:
    return stage.partition(".")[0]


class _Lines:
    """Tells on stderr what happens, a line for each stage."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._shown = {_group(target) for target in targets}
        self._warned: set[tuple[str, str]] = set()

    @hookimpl
    def bebertlab_stage_started(self, event: StageStarted) -> None:
        """A stage runs now."""
        click.echo(f"{event.stage} ({event.stage_kind}) ...", err=True)

    @hookimpl
    def bebertlab_stage_progress(self, event: StageProgress) -> None:
        """Only what is worth a line."""
        if event.fraction == 0.0 and event.text:
            click.echo(f"{event.stage} ({event.stage_kind}) {event.text}", err=True)

    @hookimpl
    def bebertlab_stage_finished(self, event: StageFinished) -> None:
        """A stage is there."""
        from bebertlab.interfaces.metric_names import SELECT_SCORE

        score = event.metrics.get(SELECT_SCORE)
        said = "" if score is None else f", {SELECT_SCORE} {score:.2f}"
        how = "stored, took" if event.stored else "done in"
        click.echo(f"{event.stage} ({event.stage_kind}) {how} {format_duration(event.seconds)}{said}", err=True)
        group = _group(event.stage)
        for text in event.warnings:
            warning = (group if group in self._shown else "", text)  # stages on the way mostly say the same
            if warning not in self._warned:
                self._warned.add(warning)
                click.echo(f"warning: {event.stage}: {text}", err=True)


def _results_json(results: Results) -> str:
    stages = [
        {
            "stage": event.stage,
            "kind": event.stage_kind,
            "key": event.key,
            "stored": event.stored,
            "seconds": event.seconds,
            "metrics": dict(event.metrics),
            "warnings": list(event.warnings),
        }
        for event in results.stages
    ]
    targets = {name: dict(metrics) for name, metrics in results.targets.items()}
    only = {"metrics": next(iter(targets.values()))} if len(targets) == 1 else {}
    return json.dumps({**only, "results": targets, "stages": stages}, indent=2)


def _results_table(results: Results) -> str:
    """The metrics of the only target, or those of each under its name."""
    tables = [
        table(["METRIC", "VALUE"], [[name, f"{value:.4g}"] for name, value in metrics.items()])
        for metrics in results.targets.values()
    ]
    if len(tables) == 1:
        return tables[0]
    return "\n\n".join(f"{name}:\n{rows}" for name, rows in zip(results.targets, tables, strict=True))
