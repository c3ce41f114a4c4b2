"""The runs of one study in MLflow: found by their tags, written in few calls, never duplicated.

Parameters, metrics and tags keep MLflow's limits on names and texts.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from bebertlab import __version__
from bebertlab.artifacts.baselines import learned
from bebertlab.config.yaml import to_yaml
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.interfaces.metric_names import TRIALS_COMPLETE, TRIALS_FAILED
from bebertlab.ranking import rank_points
from bebertlab.tracking.mlflow_client import artifact_root
from bebertlab.tracking.mlflow_receipt import Receipt

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ERROR = "bebertlab.error"
CAVEATS = "bebertlab.caveats"
NOTE = "mlflow.note.content"

_PARENT = "mlflow.parentRunId"
_TRAINING = {
    "mlflow.experimentKind": "custom_model_development"
}  #: otherwise the pages open in the mode for language models
_PAGE = 1000  #: runs in one search
_BATCH = 100  #: tags or parameters in one call
_METRICS = 1000  #: in one call, at most
_STAGE = "bebertlab.stage."  #: the beginning of tags with the keys of stages
_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.FAILED: "FAILED"}
_LONGEST_TAG = 8000  #: characters
_LONGEST_PARAMETER = 6000  #: characters
_LONGEST_NAME = 250  #: characters
_NO_SETTINGS = ("schema_version", "description", "seed")
_MORE = "\n\n*Continued in the artifact report.md; report.html has the plots.*\n"


@define(kw_only=True)
class _Known:
    """A run as it is in MLflow."""

    run: str
    status: str
    params: set[str] = field(factory=set)
    metrics: dict[str, float] = field(factory=dict)
    tags: set[str] = field(factory=set)
    keys: frozenset[str] = frozenset()  #: of its stages, where it has finished
    interrupted: bool = False  #: it was not closed by the process that opened it, or is of a trial that was stopped


@frozen(kw_only=True)
class CurvePoint:
    """A value at a step."""

    name: str  #: as MLflow shows it
    value: float
    step: int
    milliseconds: int  #: since 1970, when it was reported


class Runs:
    """The run of a study and those of its trials."""

    def __init__(self, client: MlflowClient, study: StudyRecord, experiment: str) -> None:
        self._client = client
        self.study = study
        self.experiment = self._open_experiment(experiment)
        self._children: dict[str, _Known] = {}
        self._earlier: dict[tuple[str, str], int] = {}  # trial and metric to the last step of an earlier process
        self._uploaded: list[str] = []  # artifacts of the study's run
        self._parent = self._find() or self._create_parent()

    @property
    def parent(self) -> str:
        """The identifier of the study's run."""
        return self._parent.run

    def begin(self) -> None:
        """Mark the study as running."""
        self._set_status(self._parent, "RUNNING")

    def start(self, trial: TrialRecord) -> None:
        """Open the trial's run; a run that a killed process left is used again."""
        self._set_status(self._child(trial), "RUNNING")

    def has(self, trial: TrialRecord) -> bool:
        """Whether MLflow has the finished trial."""
        known = self._children.get(trial.name)
        return known is not None and known.status == _STATUS.get(trial.state)

    def finish(self, trial: TrialRecord) -> None:
        """Write the trial's metrics and close its run."""
        known = self._child(trial)
        params = {**parameters_of(self.study.identity), **parameters_of(trial.parameters), "seed": str(trial.seed)}
        values = {**metrics_of(trial.metrics), "seconds": trial.seconds}
        tags = trial_tags(self.study, trial)
        for stale in {ERROR, NOTE} & known.tags - tags.keys():
            self._client.delete_tag(known.run, stale)
        self._log(known, params, values, tags)
        self._close(known, _STATUS[trial.state])

    def is_interrupted(self, trial: TrialRecord) -> bool:
        """Whether an earlier process began the trial and did not finish it."""
        known = self._children.get(trial.name)
        return known is not None and known.interrupted

    @property
    def finished_keys(self) -> frozenset[str]:
        """The keys of the stages of trials that earlier processes finished."""
        return frozenset().union(*(known.keys for known in self._children.values()))

    def last_step(self, trial: TrialRecord, metric: str) -> int:
        """The last step at which an earlier process wrote a metric of the trial; 0 if none did."""
        if not self.is_interrupted(trial):
            return 0
        history = self._client.get_metric_history(self._child(trial).run, name_of(metric))
        return max((int(point.step) for point in history), default=0)

    def log_curve(self, trial: TrialRecord, points: Sequence[CurvePoint]) -> None:
        """Write points of the learning curves of the trial's stages, except those that an earlier process wrote."""
        from mlflow.entities import Metric

        run = self._child(trial).run
        metrics = [
            Metric(name_of(point.name), point.value, point.milliseconds, point.step)
            for point in points
            if point.step > self._written(trial, point.name)
        ]
        for first in range(0, len(metrics), _METRICS):
            self._client.log_batch(run, metrics=metrics[first : first + _METRICS])

    def _written(self, trial: TrialRecord, metric: str) -> int:
        """The last step that an earlier process wrote, which is looked up once."""
        if (trial.name, metric) not in self._earlier:
            self._earlier[trial.name, metric] = self.last_step(trial, metric)
        return self._earlier[trial.name, metric]

    def end(self, trials: Sequence[TrialRecord], report: Sequence[Path]) -> None:
        """Write the study's summary and files, and close its run and those of trials that were stopped."""
        for trial in trials:
            known = self._children.get(trial.name)
            if trial.state not in _STATUS and known is not None and known.status == "RUNNING":
                self._close(known, "KILLED")
        values, tags, status = study_summary(self.study, trials, report)
        self._log(self._parent, {}, values, tags)
        self._upload(report)
        self._close(self._parent, status)

    def receipt(self, content: str) -> Receipt:
        """The receipt for everything that is written, of which `content` is the hash."""
        ended = [run for run in self._children.values() if run.status in _STATUS.values()]
        return Receipt(
            content=content,
            experiment=self.experiment,
            run=self.parent,
            status=self._parent.status,
            trials=len(ended),
            files=tuple(self._uploaded),
        )

    def _open_experiment(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            location = self._artifact_location()
            return str(self._client.create_experiment(name, artifact_location=location, tags=_TRAINING))
        if experiment.lifecycle_stage == "deleted":  # who runs the study again wants to see it
            self._client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)

    def _artifact_location(self) -> str | None:
        """A folder next to the database file; a server has its own."""
        local = str(self._client.tracking_uri).startswith("sqlite:")
        return (artifact_root(self.study.work) / self.study.name).as_uri() if local else None

    def _find(self) -> _Known | None:
        """Read all runs of this study."""
        parent = None
        for run in self._search():
            known = _known(run)
            trial = run.data.tags.get("bebertlab.trial")
            if trial is None:
                parent = parent or known
            else:
                known.interrupted = known.status not in _STATUS.values()
                self._children.setdefault(trial, known)
        return parent

    def _search(self) -> list[Run]:
        condition = f"tags.`bebertlab.digest` = '{self.study.digest}'"
        runs: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self.experiment], condition, max_results=_PAGE, order_by=["start_time ASC"], page_token=token
            )
            runs += page
            token = page.token
            if not token:
                return runs

    def _create_parent(self) -> _Known:
        name = f"{self.study.name}@{self.study.digest[:8]}"
        known = self._create(name, {**study_tags(self.study), NOTE: self.study.description}, 0.0)
        parameters = [*parameters_of({**recipe_settings(self.study.resolved), **self.study.identity}).items()]
        for first in range(0, len(parameters), _BATCH):
            self._log(known, dict(parameters[first : first + _BATCH]), {}, {})
        self._keep_study(known.run)
        return known

    def _keep_study(self, run: str) -> None:
        """Write what it takes to run the study again: itself, and the files of its plugins by their places."""
        self._client.log_text(run, to_yaml(self.study.resolved), "study.yaml")
        for name in self.study.plugin_files:
            self._client.log_artifact(run, str(self.study.folder / name), str(PurePosixPath(name).parent))

    def _child(self, trial: TrialRecord) -> _Known:
        if trial.name not in self._children:
            tags = {**study_tags(self.study), "bebertlab.trial": trial.name, _PARENT: self.parent}
            self._children[trial.name] = self._create(trial.name, tags, trial.seconds)
        return self._children[trial.name]

    def _create(self, name: str, tags: Mapping[str, str], seconds: float) -> _Known:
        start = int(1000 * (time.time() - seconds))
        run = self._client.create_run(self.experiment, start_time=start, tags=dict(tags), run_name=name)
        return _known(run)

    def _log(
        self, known: _Known, params: Mapping[str, str], values: Mapping[str, float], tags: Mapping[str, str]
    ) -> None:
        """Log in one call, without parameters that are logged already and metrics that have not changed."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(1000 * time.time())
        new_params = [Param(key, value) for key, value in params.items() if key not in known.params]
        new_values = {key: value for key, value in values.items() if known.metrics.get(key) != value}
        metrics = [Metric(key, value, now, 0) for key, value in new_values.items()]
        run_tags = [RunTag(key, value) for key, value in tags.items()]
        for first in range(0, max(1, len(run_tags)), _BATCH):
            more: dict[str, Any] = {} if first else {"params": new_params, "metrics": metrics}
            self._client.log_batch(known.run, tags=run_tags[first : first + _BATCH], **more)
        known.params |= set(params)
        known.metrics |= new_values
        known.tags |= set(tags)

    def _upload(self, report: Sequence[Path]) -> None:
        self._keep_study(self.parent)  # the process may have been killed right after it created the run
        for path in report:
            self._client.log_artifact(self.parent, str(path))
        self._uploaded = ["study.yaml", *self.study.plugin_files, *(path.name for path in report)]
        for plots in {path.parent / "plots" for path in report}:
            if plots.is_dir():
                self._client.log_artifacts(self.parent, str(plots), "plots")

    def _set_status(self, known: _Known, status: str) -> None:
        if known.status != status:
            self._client.update_run(known.run, status=status)
            known.status = status

    def _close(self, known: _Known, status: str) -> None:
        self._client.set_terminated(known.run, status)
        known.status = status


def _known(run: Run) -> _Known:
    status = str(run.info.status)
    keys = (key for tag, key in run.data.tags.items() if tag.startswith(_STAGE))
    return _Known(
        run=str(run.info.run_id),
        status=status,
        keys=frozenset(keys) if status in _STATUS.values() else frozenset(),
        params=set(run.data.params),
        metrics=dict(run.data.metrics),
        tags=set(run.data.tags),
    )


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
        **{name_of(f"{_STAGE}{event.stage}"): event.key for event in trial.stages},
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
    ranked = rank_points(study.objectives, trials, study.constraints)
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
