"""`bebertlab recipe`: plan and run one recipe in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bebertlab.cli.options import (
    SHORT_KEY,
    PathType,
    Settings,
    device_option,
    format_option,
    pass_settings,
    save_state_option,
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
    help="Only this stage or group, and what it needs.  [default: the recipe's result, or all stages without a reader]",
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
@save_state_option
@click.option("--all", "all_metrics", is_flag=True, help="Show all metrics, not only the main ones.")
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
    save_state_minutes: float,
    all_metrics: bool,
    form: str,
) -> None:
    """Run RECIPE in this process; cached stages are not run again.

    Prints the main metrics of the recipe's result, or of every stage that no other stage reads: scores of each split,
    size, operations and time. All are printed with --all or --format json.
    """
    from bebertlab.pipeline.execute import execute
    from bebertlab.store.disk import naming_full_disk
    from bebertlab.store.store import Store

    plugins, plan, codec = planned_recipe(settings, path, sets, device=device, threads=threads)
    store = Store(work / "store")
    targets = _targets(plan, stage)
    plugins.observe(_Progress(targets))
    unused = plan.left_out(targets)
    if unused:
        click.echo(f"not run: {', '.join(unused)} ({_unused(targets)})", err=True)
    with naming_full_disk(work):
        results = execute(
            plan,
            store,
            codec,
            notify=plugins.observers.stage,
            targets=targets,
            save_state_minutes=save_state_minutes,
        )
    click.echo(_results_json(results) if form == "json" else _results_table(results, all_metrics=all_metrics))


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
    """Show what `run` would do: the stages in order, their keys, and which are cached. Changes nothing."""
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
        time = format_duration(manifest.seconds) if manifest else ""
        lines.append([node.name, node.kind, node.key[:SHORT_KEY], time, states[node.name]])
    click.echo(table(["STAGE", "KIND", "KEY", "TIME", "STATE"], lines))


def planned_recipe(
    settings: Settings, path: Path, sets: tuple[str, ...], *, device: str, threads: int
) -> tuple[Plugins, Plan, OptionsCodec]:
    """The plan of a recipe file with overrides from the command line."""
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
    document, errors = read_recipe(path), ErrorCollector()
    for override in sort_overrides(map(parse_override, sets)):
        try:
            document = set_value(document, override.path, override.value, override.place, plugins.registry)
        except UserError as error:
            errors.add_error(error, override.place)
    recipe_ = structure_recipe(document, codec, errors)
    errors.raise_all()
    if recipe_ is None:
        raise AssertionError("a recipe is None only with errors")
    return (
        plugins,
        plan_recipe(recipe_, TaskCache(codec), codec, ComputeSettings(threads=threads, device=device)),
        codec,
    )


def _targets(plan: Plan, stage: str | None) -> tuple[str, ...]:
    from bebertlab.errors import unknown

    if stage is None:
        return plan.ends
    targets = plan.members(stage)
    if not targets:
        raise unknown("stage", stage, [*plan.nodes, *plan.recipe.stages])
    return targets


def _unused(targets: Sequence[str]) -> str:
    return f"not needed for {' and '.join(targets)}"


def _states(plan: Plan, store: Store, targets: Sequence[str]) -> Mapping[str, str]:
    from bebertlab.pipeline.execute import missing_stages

    missing = missing_stages(plan, store, targets)
    needed = {node.name for node in plan.ancestors(*targets)}

    def state(name: str) -> str:
        if name in missing:
            return "to build"
        if store.peek(plan.nodes[name].key) is not None:
            return "cached"
        return "upstream of cached stages" if name in needed else _unused(targets)

    return {name: state(name) for name in plan.nodes}


def _group(stage: str) -> str:
    return stage.partition(".")[0]


class _Progress:
    """Prints a line for each stage to the error stream."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._shown = {_group(target) for target in targets}
        self._warned: set[tuple[str, str]] = set()

    @hookimpl
    def bebertlab_stage_started(self, event: StageStarted) -> None:
        """Print that the stage runs."""
        click.echo(f"{event.stage} ({event.stage_kind}) ...", err=True)

    @hookimpl
    def bebertlab_stage_progress(self, event: StageProgress) -> None:
        """Print messages without progress, e.g. that the stage waits for another process."""
        if event.fraction == 0.0 and event.text:
            click.echo(f"{event.stage} ({event.stage_kind}) {event.text}", err=True)

    @hookimpl
    def bebertlab_stage_finished(self, event: StageFinished) -> None:
        """Print how long the stage took, and its warnings."""
        from bebertlab.interfaces.metric_names import SELECT_SCORE

        score = event.metrics.get(SELECT_SCORE)
        result = "" if score is None else f", {SELECT_SCORE} {score:.2f}"
        state = "cached, took" if event.stored else "built in"
        time, key = format_duration(event.seconds), event.key[:SHORT_KEY]
        click.echo(f"{event.stage} ({event.stage_kind}, {key}) {state} {time}{result}", err=True)
        group = _group(event.stage)
        for text in event.warnings:
            warning = (group if group in self._shown else "", text)  # upstream stages mostly repeat it
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
    single = {"metrics": next(iter(targets.values()))} if len(targets) == 1 else {}
    return json.dumps({**single, "results": targets, "stages": stages}, indent=2)


def _results_table(results: Results, *, all_metrics: bool) -> str:
    """The metrics of the only target, or those of each target under its name."""
    tables = [_metrics_table(metrics, all_metrics=all_metrics) for metrics in results.targets.values()]
    if len(tables) == 1:
        return tables[0]
    return "\n\n".join(f"{name}:\n{rows}" for name, rows in zip(results.targets, tables, strict=True))


def _metrics_table(metrics: Mapping[str, float], *, all_metrics: bool) -> str:
    from bebertlab.cli.main_metrics import main_metrics

    groups = [list(metrics)] if all_metrics else main_metrics(metrics)
    rows: list[list[str]] = []
    for group in groups:
        rows += [["", ""]] if rows else []
        rows += [[name, f"{metrics[name]:.4g}"] for name in group]
    left_out = len(metrics) - sum(map(len, groups))
    note = f"\n({left_out} more with --all)" if left_out else ""
    return table(["METRIC", "VALUE"], rows) + note
