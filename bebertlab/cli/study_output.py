"""What `bebertlab study` prints: plans, progress, lists of studies, and best points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import attrs
import click

from bebertlab.cli.options import SHORT_KEY, table
from bebertlab.config.humanize import format_duration
from bebertlab.errors import UserError
from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.report.labels import amount, count, value_label
from bebertlab.report.points import failures
from bebertlab.store.store import Store
from bebertlab.study.best import BestPoint, study_status
from bebertlab.study.forecast import Forecast, Work
from bebertlab.study.space import count_trials, planned_trials
from bebertlab.study.stored_study import StoredStudy
from bebertlab.study.study import Study


def plan_data(estimate: Forecast) -> dict[str, Any]:
    """A plan as plain data."""
    kinds = {
        kind: {"stored": work.stored, "missing": work.missing, "unknown": work.unknown, "seconds": work.seconds}
        for kind, work in estimate.kinds.items()
    }
    return {
        "trials": estimate.trials,
        "complete": estimate.complete,
        "undrawn": estimate.undrawn,
        "stages": kinds,
    }


def plan_text(study: Study, estimate: Forecast) -> str:
    """A plan as a table and an estimate of the time."""
    parts = [f"{study.name}: {count_trials(study)}, {estimate.complete} complete"]
    rows = [[kind, str(work.stored), str(work.missing), _work_time(work)] for kind, work in estimate.kinds.items()]
    if rows:
        parts.append(table(["STAGE", "CACHED", "TO BUILD", "TIME"], rows))
    parts.append(_plan_sentence(estimate))
    if estimate.undrawn:
        parts[-1] += f"\n{estimate.undrawn} trials are not drawn yet; their stages are not counted"
    return "\n\n".join(parts)


def _work_time(work: Work) -> str:
    known = work.missing - work.unknown
    parts = [format_duration(work.seconds)] if known else []
    if work.unknown:
        parts.append(f"{work.unknown} unknown" if known else "unknown")
    return " + ".join(parts)


def _plan_sentence(estimate: Forecast) -> str:
    if not estimate.trials:
        return "no trial is drawn yet"
    if not estimate.missing:
        return "all stages are cached; nothing is left to train"
    known = estimate.missing - estimate.unknown
    reason = "no cached stage has the same model, scheme, data and training options"
    if not known:
        return f"{estimate.missing} stages to build; their time is unknown: {reason}"
    text = f"{estimate.missing} stages to build: about {format_duration(estimate.seconds)} on one worker"
    if not estimate.unknown:
        return f"{text}, from cached stages with the same model, scheme, data and training options"
    return f"{text} for {known} of them; the time of the other {estimate.unknown} is unknown: {reason}"


def status_text(study: Study, folder: Path, trials: Sequence[TrialRecord]) -> str:
    """The progress of a study: trials by state, running trials, errors."""
    by_state = {state: [trial for trial in trials if trial.state is state] for state in TrialState}
    undrawn = planned_trials(study) - len(trials)
    counts = [f"{len(group)} {state}" for state, group in by_state.items() if group]
    counts += [f"{undrawn} not drawn yet"] if undrawn else []
    lines = [f"{study.name}: {count_trials(study)}; {', '.join(counts)}"]
    lines.append(f"folder: {folder}{'' if folder.exists() else ' (does not exist: the study never ran)'}")
    lines += [f"running: {trial.name}" for trial in by_state[TrialState.RUNNING]]
    lines += [f"failed: {names}: {error}" for names, error in failures(trials)]
    if by_state[TrialState.RUNNING]:
        lines.append("(running now, or when the command was killed: then the same command continues with them)")
    return "\n".join(lines)


def study_rows(studies: Sequence[StoredStudy]) -> list[dict[str, Any]]:
    """Studies as plain data; one whose journal cannot be read has the state "unreadable", with a warning."""
    return [_study_row(study) for study in studies]


def _study_row(study: StoredStudy) -> dict[str, Any]:
    row: dict[str, Any] = {
        "study": study.label,
        "name": study.name,
        "digest": study.digest,
        "folder": str(study.folder),
        "objective": study.objectives[0].metric,
        "changed": study.changed.isoformat(timespec="seconds"),
        "is_smoke": study.is_smoke,
    }
    try:
        status = study_status(study)
    except UserError as error:
        click.echo(f"warning: {error}", err=True)
        return {**row, "state": "unreadable", "complete": 0, "failed": 0, "trials": study.planned or 0, "best": None}
    return {**row, **attrs.asdict(status)}


def study_table(rows: Sequence[dict[str, Any]]) -> str:
    """Studies as a table."""
    lines = [
        (
            row["study"],
            f"{row['state']}, smoke run" if row["is_smoke"] else row["state"],
            f"{row['complete']}/{row['trials']}",
            str(row["failed"]),
            "" if row["best"] is None else f"{row['objective']} {_number(row['best'])}",
            row["changed"].replace("T", " ").removesuffix("+00:00"),
        )
        for row in rows
    ]
    return table(("STUDY", "STATE", "COMPLETE", "FAILED", "BEST", "LAST RUN (UTC)"), lines)


def best_data(study: StoredStudy, best: BestPoint, store: Store) -> dict[str, Any]:
    """The best point of a study as plain data, with the artifacts of all stages of one trial."""
    return {
        "study": study.label,
        "folder": str(study.folder),
        "is_smoke": study.is_smoke,
        "objectives": [{"metric": objective.metric, "goal": objective.goal} for objective in study.objectives],
        "points": best.points,
        "parameters": dict(best.parameters),
        "means": _means(best, best.trial.metrics),
        "trials": [{"trial": t.id, "seed": t.seed, "metrics": dict(t.metrics)} for t in best.trials],
        "trial": best.trial.id,
        "stages": [
            {
                "stage": stage.stage,
                "kind": stage.stage_kind,
                "key": stage.key,
                "folder": str(store.folder(stage.key)),
                "stored": store.folder(stage.key).is_dir(),
            }
            for stage in best.trial.stages
        ],
    }


def best_text(study: StoredStudy, best: BestPoint, store: Store) -> str:
    """The best point of a study: options, scores by seed, and the artifacts of one trial."""
    metric, goal = study.objectives[0].metric, study.objectives[0].goal
    name = f"{study.label}{' (smoke run)' if study.is_smoke else ''}"
    of_points = f"best of {best.points} points" if best.points > 1 else "the only point with complete trials"
    options = [(path, value_label(value)) for path, value in best.parameters.items()]
    names = [metric, *(name for name in best.trial.metrics if name.endswith("/score") and name != metric)]
    means = _means(best, names)
    seeds = [f"SEED {trial.seed} ({trial.id})" for trial in best.trials]
    scores = [
        (name, *(_number(trial.metrics.get(name)) for trial in best.trials), _number(mean))
        for name, mean in means.items()
    ]
    stages = [
        (
            stage.stage,
            stage.stage_kind,
            stage.key[:SHORT_KEY],
            str(store.folder(stage.key)) if store.folder(stage.key).is_dir() else "(no longer in the store)",
        )
        for stage in best.trial.stages
    ]
    return "\n\n".join(
        [
            f"{name}: {of_points} by {metric} ({goal}, mean over {count(len(best.trials), 'seed')})",
            table(("OPTION", "VALUE"), options) if options else "no options were searched",
            table(("SCORE", *seeds, "MEAN"), scores),
            f"stages of {best.trial.id}, seed {best.trial.seed}:\n" + table(("STAGE", "KIND", "KEY", "FOLDER"), stages),
        ]
    )


def _means(best: BestPoint, names: Sequence[str] | Any) -> dict[str, float]:  # noqa: ANN401 - any names
    """Means over seeds of the metrics that all trials have."""
    return {
        name: fmean(trial.metrics[name] for trial in best.trials)
        for name in names
        if all(name in trial.metrics for trial in best.trials)
    }


def _number(value: float | None) -> str:
    return amount(value) if value is None or value > 0 else f"{value:.2f}"
