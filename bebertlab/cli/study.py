"""`bebertlab study`: check, plan, run and look at a study."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from bebertlab.cli.options import (
    PathType,
    Settings,
    device_option,
    format_option,
    pass_settings,
    set_option,
    table,
    work_option,
)
from bebertlab.cli.typed import typed_command
from bebertlab.config.humanize import format_duration
from bebertlab.errors import EXIT_INTERRUPTED, EXIT_TRIALS_FAILED, UserError

if TYPE_CHECKING:
    from bebertlab.interfaces.events import StudyRecord, TrialRecord
    from bebertlab.study.context import StudyContext
    from bebertlab.study.forecast import Forecast, Work
    from bebertlab.study.loaded_study import LoadedStudy
    from bebertlab.study.run import Finished
    from bebertlab.tracking.mlflow import MlflowTracker

_file = click.argument("path", metavar="STUDY", type=PathType(exists=True, dir_okay=False))
_smoke = click.option("--smoke", is_flag=True, help="The small version: what the study's `smoke` sets.")


def _source_options(command: Callable[..., None]) -> Callable[..., None]:
    """The file, and what changes it."""
    return _file(set_option(_smoke(command)))


@click.group()
def study() -> None:
    """Check, plan, run and look at a study."""


@study.command()
@_source_options
@pass_settings
def validate(settings: Settings, path: Path, sets: tuple[str, ...], smoke: bool) -> None:
    """Check STUDY, its recipe and every point. Loads no data, runs nothing."""
    from bebertlab.study.planner import check_points
    from bebertlab.study.space import count_trials

    source = _read(settings, path, sets, smoke)
    not_needed = check_points(source.study, source.plugins.registry)
    click.echo(f"{path}: OK, {count_trials(source.study)}")
    _tell_not_needed(not_needed)


@study.command()
@_source_options
@work_option
@device_option
@format_option
@pass_settings
def plan(
    settings: Settings, path: Path, sets: tuple[str, ...], smoke: bool, work: Path, device: str, form: str
) -> None:
    """Say what `run` would do: trials, stages, what is stored, what the rest would take. Changes nothing."""
    _tell_plan(_session(_read(settings, path, sets, smoke), work, device), form)


@study.command()
@_source_options
@work_option
@device_option
@click.option("-n", "--dry-run", is_flag=True, help="The same as `study plan`.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Trials at a time.  [default: one for each core]")
@click.option(
    "--executor",
    type=click.Choice(["ray", "local"]),
    default="ray",
    show_default=True,
    help="local: one trial after another in this process, without Ray.",
)
@click.option(
    "--tracking-uri",
    help="MLflow server or database.  [default: MLFLOW_TRACKING_URI, else mlflow.db in the work folder]",
)
@click.option("--experiment", help="MLflow experiment.  [default: MLFLOW_EXPERIMENT_NAME, else bebertlab/NAME]")
@click.option("--no-tracking", is_flag=True, help="Leave MLflow out.")
@click.option("--max-trials", type=click.IntRange(1), help="Stop after so many trials; the same command goes on.")
@click.option("--fail-fast", is_flag=True, help="Start no further trial once one has failed.")
@pass_settings
def run(
    settings: Settings,
    path: Path,
    sets: tuple[str, ...],
    smoke: bool,
    work: Path,
    device: str,
    dry_run: bool,
    jobs: int | None,
    executor: str,
    tracking_uri: str | None,
    experiment: str | None,
    no_tracking: bool,
    max_trials: int | None,
    fail_fast: bool,
) -> None:
    """Run STUDY, or go on with it: what is complete is not run again, what failed is.

    Another file, another --set or another text of a plugin is another study; equal stages are shared between studies.
    """
    from bebertlab.interfaces.events import TrialState
    from bebertlab.study.driver import Limits
    from bebertlab.study.run import Workers, run_study

    source = _read(settings, path, sets, smoke)
    workers = Workers.asked(executor, jobs, threads=source.study.threads, device=device)
    context = _session(source, work, device)
    if dry_run:
        _tell_plan(context)
        return
    tracker = None if no_tracking else _tracker(tracking_uri, experiment)
    try:
        with _progress() as progress:
            for observer in filter(None, (tracker, progress)):
                context.observe(observer)
            finished = run_study(context, workers, _update_report, Limits(max_trials=max_trials, fail_fast=fail_fast))
    except KeyboardInterrupt:
        _tell_interrupted("what is finished is kept")
    if finished.interrupted:
        done = finished.count(TrialState.COMPLETE)
        _tell_interrupted(f"{done} of {finished.study.planned} trials are complete, every finished stage is kept")
    _tell_results(finished, tracker)


@study.command()
@_source_options
@work_option
@format_option
@pass_settings
def status(settings: Settings, path: Path, sets: tuple[str, ...], smoke: bool, work: Path, form: str) -> None:
    """Say how far STUDY is; also while it runs."""
    from bebertlab.study.context import known_caveats, known_records
    from bebertlab.study.messages import dump
    from bebertlab.study.space import planned_trials

    source = _read(settings, path, sets, smoke)
    folder, records = known_records(source.study, work)
    if form == "json":
        said = {"study": source.study.name, "folder": str(folder), "planned": planned_trials(source.study)}
        said["caveats"] = [caveat.sentence for caveat in known_caveats(folder)]
        click.echo(json.dumps({**said, "trials": [dump(record) for record in records]}, indent=2))
    else:
        _tell_status(source, folder, records)
        for caveat in known_caveats(folder):
            click.echo(f"data: {caveat.short}")


@study.command()
@_source_options
@work_option
@pass_settings
def report(settings: Settings, path: Path, sets: tuple[str, ...], smoke: bool, work: Path) -> None:
    """Write the report of STUDY again, from its journal."""
    from bebertlab.store.disk import naming_full_disk

    context = _session(_read(settings, path, sets, smoke), work)
    if not context.folder.exists():
        raise UserError(f"{context.folder} is not there: this study never ran with this --work; run it first")
    record, trials = context.observed(), context.records()
    with naming_full_disk(work):
        files = _write_report(record, trials)
    _tell_table(record, trials, files)


def _read(settings: Settings, path: Path, sets: tuple[str, ...], smoke: bool) -> LoadedStudy:
    from bebertlab.study.loaded_study import read_study
    from bebertlab.study.space import remarks

    source = read_study(path, settings.load, sets=sets, smoke=smoke)
    for remark in remarks(source.study):
        click.echo(f"warning: {remark}", err=True)
    return source


def _session(source: LoadedStudy, work: Path, device: str = "cpu") -> StudyContext:
    from bebertlab.study.context import StudyContext

    return StudyContext(source, work, device)


def _tracker(uri: str | None, experiment: str | None) -> MlflowTracker:
    from bebertlab.tracking.mlflow import MlflowTracker

    return MlflowTracker(uri, experiment)


def _progress() -> AbstractContextManager[object]:
    from bebertlab.tracking.console import ConsoleProgress

    return ConsoleProgress()


def _update_report(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> tuple[Path, ...]:
    from bebertlab.report import update_report

    return update_report(study, trials, study.folder)


def _write_report(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> tuple[Path, ...]:
    from bebertlab.report import write_report

    return write_report(study, trials, study.folder)


def _tell_plan(context: StudyContext, form: str = "table") -> None:
    from bebertlab.study.forecast import forecast
    from bebertlab.study.space import count_trials

    ahead = forecast(context)
    not_needed, idle = context.not_needed(context.records()), context.idle(context.records())
    for text in idle:
        click.echo(f"warning: {text}", err=True)
    if form == "json":
        kinds = {
            kind: {"stored": work.stored, "missing": work.missing, "unknown": work.unknown, "seconds": work.seconds}
            for kind, work in ahead.kinds.items()
        }
        click.echo(
            json.dumps(
                {
                    "trials": ahead.trials,
                    "complete": ahead.complete,
                    "undrawn": ahead.undrawn,
                    "stages": kinds,
                    "not_needed": not_needed,
                    "warnings": idle,
                },
                indent=2,
            )
        )
        return
    click.echo(f"{context.study.name}: {count_trials(context.study)}, {ahead.complete} complete\n")
    rows = [[kind, str(work.stored), str(work.missing), _spoken_time(work)] for kind, work in ahead.kinds.items()]
    if rows:
        click.echo(table(["STAGE", "STORED", "TO RUN", "TIME"], rows) + "\n")
    click.echo(_spoken_forecast(ahead))
    _tell_not_needed(not_needed)
    if ahead.undrawn:
        click.echo(f"{ahead.undrawn} trials are not drawn yet; what they need is not counted")


def _tell_not_needed(stages: tuple[str, ...]) -> None:
    if stages:
        click.echo(f"not run, as no trial's result needs them: {', '.join(stages)}", err=True)


def _spoken_time(work: Work) -> str:
    known = work.missing - work.unknown
    said = [format_duration(work.seconds)] if known else []
    if work.unknown:
        said.append(f"{work.unknown} unknown" if known else "unknown")
    return " + ".join(said)


def _spoken_forecast(ahead: Forecast) -> str:
    if not ahead.trials:
        return "no trial is drawn yet"
    if not ahead.missing:
        return "every stage is stored; nothing would be trained"
    known = ahead.missing - ahead.unknown
    why = "no stored stage has the same model, scheme, data and training options"
    if not known:
        return f"{ahead.missing} stages to run; how long they take is unknown: {why}"
    said = f"{ahead.missing} stages to run: about {format_duration(ahead.seconds)} of one worker's time"
    if not ahead.unknown:
        return f"{said}, as stored stages of the same model, scheme, data and training options took"
    return f"{said} for {known} of them; how long the other {ahead.unknown} take is unknown: {why}"


def _tell_status(source: LoadedStudy, folder: Path, records: tuple[TrialRecord, ...]) -> None:
    from bebertlab.interfaces.events import TrialState
    from bebertlab.report.points import failures
    from bebertlab.study.space import count_trials, planned_trials

    by_state = {state: [record for record in records if record.state is state] for state in TrialState}
    undrawn = planned_trials(source.study) - len(records)
    told = [f"{len(some)} {state}" for state, some in by_state.items() if some]
    told += [f"{undrawn} not drawn yet"] if undrawn else []
    click.echo(f"{source.study.name}: {count_trials(source.study)}; {', '.join(told)}")
    click.echo(f"folder: {folder}{'' if folder.exists() else ' (not there: it never ran)'}")
    for record in by_state[TrialState.RUNNING]:
        click.echo(f"running: {record.name}")
    for trials, error in failures(records):
        click.echo(f"failed: {trials}: {error}")
    if by_state[TrialState.RUNNING]:
        click.echo("(running, or handed out when the command was killed: the same command goes on with it)")


def _tell_results(finished: Finished, tracker: MlflowTracker | None) -> None:
    from bebertlab.interfaces.events import TrialState
    from bebertlab.report.labels import count

    _tell_table(finished.study, finished.trials, finished.report)
    if tracker is not None:
        click.echo(f"MLflow: {tracker.directions(finished.study)}")
    failed = finished.count(TrialState.FAILED)
    left = (finished.study.planned or 0) - finished.count(TrialState.COMPLETE) - failed
    if left:
        click.echo(f"{count(left, 'trial')} left; go on with:\n  {typed_command()}", err=True)
    if failed:
        where = finished.study.folder / "errors"
        click.echo(
            f"{count(failed, 'trial')} failed (tracebacks: {where}); run again with:\n  {typed_command()}", err=True
        )
        raise SystemExit(EXIT_TRIALS_FAILED)


def _tell_table(study: StudyRecord, trials: tuple[TrialRecord, ...], files: tuple[Path, ...]) -> None:
    from bebertlab.report import summary_table

    click.echo(summary_table(study, trials))
    for file in files:
        click.echo(f"report: {file}")


def _tell_interrupted(what: str) -> NoReturn:
    click.echo(f"interrupted: {what}; go on with:\n  {typed_command()}", err=True)
    raise SystemExit(EXIT_INTERRUPTED)
