"""Parameters, metrics and tags for MLflow, within its limits on names and texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bebertlab import __version__
from bebertlab.artifacts.baselines import learned
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.metric_names import TRIALS_COMPLETE, TRIALS_FAILED
from bebertlab.ranking import rank_points

ERROR = "bebertlab.error"
CAVEATS = "bebertlab.caveats"
NOTE = "mlflow.note.content"

_LONGEST_TAG = 8000  #: characters
_LONGEST_PARAMETER = 6000  #: characters
_LONGEST_NAME = 250  #: characters
_NO_SETTINGS = ("schema_version", "description", "seed")
_MORE = "\n\n*Continued in the artifact report.md; report.html has the plots.*\n"


def name_of(text: str) -> str:
    """A name that is valid in MLflow for parameters, metrics and tags.

    >>> name_of("members.size"), name_of("odd[name]")
    ('members.size', 'odd_name_')
    """
    return re.sub(r"[^\w. :/-]", "_", text, flags=re.ASCII)[:_LONGEST_NAME]


def parameters_of(values: Mapping[str, object]) -> dict[str, str]:
    """Values as MLflow parameters: text unchanged, other values as JSON.

    >>> parameters_of({"members.ensemble": "single", "members.size": 2, "scheme": {"kind": "twn"}})
    {'members.ensemble': 'single', 'members.size': '2', 'scheme': '{"kind": "twn"}'}
    """
    return {name_of(key): _text(value)[:_LONGEST_PARAMETER] for key, value in values.items()}


def recipe_settings(resolved: Mapping[str, Any]) -> dict[str, object]:
    """The settings of a resolved study's recipe by path: they tell studies apart that search the same.

    >>> recipe_settings({"recipe": {"train": {"epochs": 2}, "stages": {"half": {"width": 0.5}}}})
    {'train.epochs': 2, 'half.width': 0.5}
    """
    recipe = dict(resolved.get("recipe", {}))
    stages = recipe.pop("stages", {})
    settings = {name: value for name, value in recipe.items() if name not in _NO_SETTINGS}
    return dict(_leaves({**settings, **stages}))


def _leaves(mapping: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def metrics_of(values: Mapping[str, float]) -> dict[str, float]:
    """Metrics under names that are valid in MLflow."""
    return {name_of(key): float(value) for key, value in values.items()}


def study_tags(study: StudyRecord) -> dict[str, str]:
    """The tags by which the runs of a study and its trials are found."""
    return {"bebertlab.study": study.name, "bebertlab.digest": study.digest, "bebertlab.version": __version__}


def trial_tags(study: StudyRecord, trial: TrialRecord) -> dict[str, str]:
    """The keys of a trial's stages in the store, and its error if it failed."""
    tags = {
        "bebertlab.number": str(trial.number),
        CAVEATS: caveat_kinds(study),
        **{name_of(f"bebertlab.stage.{event.stage}"): event.key for event in trial.stages},
    }
    if trial.device:
        tags["bebertlab.device"] = trial.device
    if trial.error:
        tags |= {ERROR: trial.error[:_LONGEST_TAG], NOTE: f"Failed: {trial.error}"[:_LONGEST_TAG]}
    return tags


def caveat_kinds(study: StudyRecord) -> str:
    """The kinds of a study's caveats, each once, as a tag that a filter can search: "generated, limited" or "none"."""
    return ", ".join(dict.fromkeys(caveat.kind for caveat in study.caveats)) or "none"


def study_summary(
    study: StudyRecord, trials: Sequence[TrialRecord], report: Sequence[Path]
) -> tuple[dict[str, float], dict[str, str], str]:
    """Metrics, tags and status of the run of a study."""
    states = [trial.state for trial in trials]
    complete, failed = states.count(TrialState.COMPLETE), states.count(TrialState.FAILED)
    values = {TRIALS_COMPLETE: float(complete), TRIALS_FAILED: float(failed)}
    tags = {CAVEATS: caveat_kinds(study), NOTE: description(study, report)}
    best = None if learned(trials).nothing else best_point(study, trials)
    if best is not None:
        values[name_of(study.objective)] = best[1]
        tags["bebertlab.best"] = best[0][:_LONGEST_TAG]
    unfinished = max(study.planned or 0, len(trials)) - complete - failed
    if unfinished:
        return values, tags, "KILLED"
    return values, tags, "FAILED" if failed and not complete else "FINISHED"


def best_point(study: StudyRecord, trials: Sequence[TrialRecord]) -> tuple[str, float] | None:
    """The searched values with the best mean of the objective over seeds, as text, and that mean."""
    ranked = rank_points(study.objectives, trials)
    if not ranked:
        return None
    best = ranked[0]
    return " ".join(f"{path}={_text(value)}" for path, value in best.parameters.items()), best.values[0]


def description(study: StudyRecord, report: Sequence[Path]) -> str:
    """The Markdown report without plots, cut between lines to the length that MLflow allows."""
    page = next((path for path in report if path.suffix == ".md"), None)
    if page is None or not page.is_file():
        return study.description
    lines = [line for line in page.read_text(encoding="utf-8").split("\n") if not line.startswith("![")]
    shown: list[str] = []
    left = _LONGEST_TAG - len(_MORE)
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            return "\n".join(shown).rstrip() + _MORE
        shown.append(line)
    return "\n".join(shown)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
