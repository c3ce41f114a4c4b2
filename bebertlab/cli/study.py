"""`bebertlab study`: check, plan, run and inspect studies."""

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
    save_state_option,
    set_option,
    typed_command,
    work_option,
)
from bebertlab.errors import EXIT_INTERRUPTED, EXIT_TRIALS_FAILED, UserError

if TYPE_CHECKING:
    from bebertlab.interfaces.events import StudyRecord, TrialRecord
    from bebertlab.study.context import StudyContext
    from bebertlab.study.loaded_study import LoadedStudy
    from bebertlab.study.run import Finished
    from bebertlab.study.stored_study import StoredStudy
    from bebertlab.tracking.mlflow import MlflowTracker

_smoke = click.option("--smoke", is_flag=True, help="Run the small version, with what the study's `smoke` overrides.")
_name_or_file = click.argument("study_name", metavar="STUDY")


def _study_options(command: Callable[..., None]) -> Callable[..., None]:
    """A study by file or name, what overrides it, and the work folder."""
    return _name_or_file(set_option(_smoke(work_option(command))))


@click.group()
def study() -> None:
    """Check, plan, run and inspect studies.

    STUDY is a YAML file, or the name of a study in the work folder (see `study list`).
    """


@study.command()
@click.argument("path", metavar="STUDY", type=PathType(exists=True, dir_okay=False))
@set_option
@_smoke
@pass_settings
def validate(settings: Settings, path: Path, sets: tuple[str, ...], smoke: bool) -> None:
    """Check the file STUDY, its recipe and all points. Loads no data and runs nothing."""
    from bebertlab.study.planner import check_points
    from bebertlab.study.space import count_trials

    source = _read(settings, path, sets, smoke)
    unused_stages = check_points(source.study, source.plugins.registry)
    click.echo(f"{path}: OK, {count_trials(source.study)}")
    _echo_unused(unused_stages)


@study.command()
@_study_options
@device_option
@format_option
@pass_settings
def plan(
    settings: Settings, study_name: str, sets: tuple[str, ...], smoke: bool, work: Path, device: str, form: str
) -> None:
    """Show what `run` would do: trials, stages, how many are cached, and the estimated time. Changes nothing."""
    _echo_plan(_context(_find(settings, study_name, sets, smoke, work), work, device), form)


@study.command()
@_study_options
@device_option
@click.option("-n", "--dry-run", is_flag=True, help="Only show the plan, like `study plan`.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Trials at the same time.  [default: one per core]")
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
@click.option("--no-tracking", is_flag=True, help="Do not write to MLflow.")
@click.option("--max-trials", type=click.IntRange(1), help="Stop after N trials; the same command continues.")
@save_state_option
@click.option("--fail-fast", is_flag=True, help="Start no further trials after a failed one.")
@pass_settings
def run(
    settings: Settings,
    study_name: str,
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
    save_state_minutes: float,
    fail_fast: bool,
) -> None:
    """Run STUDY, or continue it: complete trials are not run again, failed ones are.

    Another file, other overrides (--set, --smoke) or a changed plugin file make another study; studies share equal
    stages.
    """
    from bebertlab.interfaces.events import TrialState
    from bebertlab.study.driver import Limits
    from bebertlab.study.run import Workers, run_study

    source = _find(settings, study_name, sets, smoke, work)
    workers = Workers.asked(
        executor, jobs, threads=source.study.threads, device=device, save_state_minutes=save_state_minutes
    )
    context = _context(source, work, device)
    if dry_run:
        _echo_plan(context)
        return
    tracker = None if no_tracking else _tracker(tracking_uri, experiment)
    try:
        with _progress() as progress:
            for observer in filter(None, (tracker, progress)):
                context.observe(observer)
            finished = run_study(context, workers, _update_report, Limits(max_trials=max_trials, fail_fast=fail_fast))
    except KeyboardInterrupt:
        _exit_interrupted("finished stages are kept")
    if finished.interrupted:
        complete = finished.count(TrialState.COMPLETE)
        _exit_interrupted(f"{complete} of {finished.study.planned} trials are complete, finished stages are kept")
    _echo_results(finished, tracker)


@study.command("list")
@work_option
@format_option
def list_(work: Path, form: str) -> None:
    """List the studies of the work folder with their states and best scores, the latest last."""
    from bebertlab.cli.study_output import study_rows, study_table
    from bebertlab.study.stored_study import stored_studies

    rows = study_rows(stored_studies(work))
    click.echo(json.dumps(rows, indent=2) if form == "json" else study_table(rows))
    if not rows:
        click.echo(f"{work} has no studies", err=True)


@study.command()
@_study_options
@format_option
@pass_settings
def status(settings: Settings, study_name: str, sets: tuple[str, ...], smoke: bool, work: Path, form: str) -> None:
    """Show the progress of STUDY, also while it runs."""
    from bebertlab.cli.study_output import status_text
    from bebertlab.study.context import known_caveats, known_records
    from bebertlab.study.messages import dump
    from bebertlab.study.space import planned_trials

    source = _find(settings, study_name, sets, smoke, work)
    folder, trials = known_records(source.study, work)
    if form == "json":
        data = {"study": source.study.name, "folder": str(folder), "planned": planned_trials(source.study)}
        data["caveats"] = [caveat.sentence for caveat in known_caveats(folder)]
        click.echo(json.dumps({**data, "trials": [dump(trial) for trial in trials]}, indent=2))
    else:
        click.echo(status_text(source.study, folder, trials))
        for caveat in known_caveats(folder):
            click.echo(f"data: {caveat.short}")


@study.command()
@_study_options
@click.option("--seed", type=int, help="Trial of the best point.  [default: the one with the best objective]")
@click.option("--stage", metavar="NAME", help="Stage for --folder.  [default: the result]")
@click.option("--folder", "only_folder", is_flag=True, help="Print only the folder of one artifact, for $(...).")
@format_option
@pass_settings
def best(
    settings: Settings,
    study_name: str,
    sets: tuple[str, ...],
    smoke: bool,
    work: Path,
    seed: int | None,
    stage: str | None,
    only_folder: bool,
    form: str,
) -> None:
    """Show the best point of STUDY: its options, its scores, and the artifacts of its stages with their keys.

    Points are compared by the mean of the objective over seeds. Other commands take the stages of the best trial as
    STUDY/best/STAGE, e.g. `model show NAME/best/student`.
    """
    from bebertlab.cli.study_output import best_data, best_text
    from bebertlab.store.store import Store
    from bebertlab.study.best import choose_best
    from bebertlab.study.find import stage_key

    if stage is not None and not only_folder:
        raise UserError("--stage needs --folder")
    stored = _stored(settings, study_name, sets, smoke, work)
    point = choose_best(stored, seed)
    store = Store(work / "store")
    if only_folder:
        key = stage_key(point.trial, stage)
        if store.peek(key) is None:
            raise UserError(f"stage {key[:12]} is not in {store.root}; run the study again to build it")
        click.echo(store.folder(key))
    elif form == "json":
        click.echo(json.dumps(best_data(stored, point, store), indent=2))
    else:
        click.echo(best_text(stored, point, store))


@study.command()
@_study_options
@pass_settings
def report(settings: Settings, study_name: str, sets: tuple[str, ...], smoke: bool, work: Path) -> None:
    """Write the report of STUDY again, from its journal."""
    from bebertlab.store.disk import naming_full_disk

    context = _context(_find(settings, study_name, sets, smoke, work), work)
    if not context.folder.exists():
        raise UserError(f"this study never ran in {work} ({context.folder} does not exist); run it first")
    record, trials = context.observed(), context.records()
    with naming_full_disk(work):
        files = _write_report(record, trials)
    _echo_report(record, files)


def _find(settings: Settings, name: str, sets: tuple[str, ...], smoke: bool, work: Path) -> LoadedStudy:
    """The study of a file, or of a name in the work folder."""
    from bebertlab.study.find import find_study_file

    return _read(settings, find_study_file(name, work), sets, smoke)


def _read(settings: Settings, path: Path, sets: tuple[str, ...], smoke: bool) -> LoadedStudy:
    from bebertlab.study.loaded_study import read_study
    from bebertlab.study.space import remarks
    from bebertlab.study.stored_study import check_study_file

    check_study_file(path)
    source = read_study(path, settings.load, sets=sets, smoke=smoke)
    for remark in remarks(source.study):
        click.echo(f"warning: {remark}", err=True)
    return source


def _stored(settings: Settings, name: str, sets: tuple[str, ...], smoke: bool, work: Path) -> StoredStudy:
    """The study of a file or name as it is in the work folder."""
    from bebertlab.study.find import find_study_file
    from bebertlab.study.resolved import STUDIES, study_folder
    from bebertlab.study.stored_study import read_stored_study

    path = find_study_file(name, work)
    if path.parent.parent == work / STUDIES and not sets and not smoke:
        return read_stored_study(path.parent)
    return read_stored_study(study_folder(_read(settings, path, sets, smoke).study, work))


def _context(source: LoadedStudy, work: Path, device: str = "cpu") -> StudyContext:
    from bebertlab.study.context import StudyContext

    return StudyContext(source, work, device)


def _tracker(uri: str | None, experiment: str | None) -> MlflowTracker:
    from bebertlab.tracking.mlflow import MlflowTracker

    return MlflowTracker(uri, experiment)


def _progress() -> AbstractContextManager[object]:
    from bebertlab.tracking.console import ConsoleProgress

    return ConsoleProgress()


def _update_report(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> tuple[Path, ...]:
    from bebertlab.report import stored_curves, update_report

    return update_report(study, trials, study.folder, stored_curves(study.work))


def _write_report(study: StudyRecord, trials: tuple[TrialRecord, ...]) -> tuple[Path, ...]:
    from bebertlab.report import stored_curves, write_report

    return write_report(study, trials, study.folder, stored_curves(study.work))


def _echo_plan(context: StudyContext, form: str = "table") -> None:
    from bebertlab.cli.study_output import plan_data, plan_text
    from bebertlab.study.forecast import forecast

    estimate = forecast(context)
    unused_stages, idle = context.not_needed(context.records()), context.idle(context.records())
    for text in idle:
        click.echo(f"warning: {text}", err=True)
    if form == "json":
        click.echo(json.dumps({**plan_data(estimate), "not_needed": unused_stages, "warnings": idle}, indent=2))
        return
    click.echo(plan_text(context.study, estimate))
    _echo_unused(unused_stages)


def _echo_unused(stages: tuple[str, ...]) -> None:
    if stages:
        from bebertlab.tracking.console import unused_stages_line

        click.echo(unused_stages_line(stages), err=True)


def _echo_results(finished: Finished, tracker: MlflowTracker | None) -> None:
    from bebertlab.interfaces.events import TrialState
    from bebertlab.report.labels import count

    _echo_report(finished.study, finished.report)
    if tracker is not None:
        click.echo(f"MLflow: {tracker.directions(finished.study)}")
    failed = finished.count(TrialState.FAILED)
    left = (finished.study.planned or 0) - finished.count(TrialState.COMPLETE) - failed
    if left:
        click.echo(f"{count(left, 'trial')} left; continue with:\n  {typed_command()}", err=True)
    if failed:
        errors = finished.study.folder / "errors"
        click.echo(
            f"{count(failed, 'trial')} failed (tracebacks: {errors}); run again with:\n  {typed_command()}", err=True
        )
        raise SystemExit(EXIT_TRIALS_FAILED)


def _echo_report(study: StudyRecord, files: tuple[Path, ...]) -> None:
    from bebertlab.report import written_summary

    click.echo(written_summary(study.folder))
    for file in files:
        click.echo(f"report: {file}")


def _exit_interrupted(what: str) -> NoReturn:
    click.echo(f"interrupted: {what}; continue with:\n  {typed_command()}", err=True)
    raise SystemExit(EXIT_INTERRUPTED)
