"""The runs of one study in MLflow: found by their tags, written in few calls, never duplicated."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from attrs import define, field

from bebertlab.config.yaml import to_yaml
from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.tracking.mlflow_client import artifact_root
from bebertlab.tracking.mlflow_curves import CurvePoint
from bebertlab.tracking.mlflow_receipt import Receipt
from bebertlab.tracking.mlflow_values import (
    ERROR,
    NOTE,
    metrics_of,
    name_of,
    parameters_of,
    recipe_settings,
    study_summary,
    study_tags,
    trial_tags,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PARENT = "mlflow.parentRunId"
_TRAINING = {
    "mlflow.experimentKind": "custom_model_development"
}  #: otherwise the pages open in the mode for language models
_PAGE = 1000  #: runs in one search
_BATCH = 100  #: tags or parameters in one call
_METRICS = 1000  #: in one call, at most
_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.FAILED: "FAILED"}


@define(kw_only=True)
class _Known:
    """A run as it is in MLflow."""

    run: str
    status: str
    params: set[str] = field(factory=set)
    metrics: dict[str, float] = field(factory=dict)
    tags: set[str] = field(factory=set)


class Runs:
    """The run of a study and those of its trials."""

    def __init__(self, client: MlflowClient, study: StudyRecord, experiment: str) -> None:
        self._client = client
        self._study = study
        self.experiment = self._open_experiment(experiment)
        self._children: dict[str, _Known] = {}
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
        params = {**parameters_of(self._study.identity), **parameters_of(trial.parameters), "seed": str(trial.seed)}
        values = {**metrics_of(trial.metrics), "seconds": trial.seconds}
        tags = trial_tags(self._study, trial)
        for stale in {ERROR, NOTE} & known.tags - tags.keys():
            self._client.delete_tag(known.run, stale)
        self._log(known, params, values, tags)
        self._close(known, _STATUS[trial.state])

    def log_curve(self, trial: TrialRecord, points: Sequence[CurvePoint]) -> None:
        """Write points of the learning curves of the trial's stages."""
        from mlflow.entities import Metric

        run = self._child(trial).run
        metrics = [Metric(name_of(point.name), point.value, point.milliseconds, point.step) for point in points]
        for first in range(0, len(metrics), _METRICS):
            self._client.log_batch(run, metrics=metrics[first : first + _METRICS])

    def end(self, trials: Sequence[TrialRecord], report: Sequence[Path]) -> None:
        """Write the study's summary and files, and close its run and those of trials that were stopped."""
        for trial in trials:
            known = self._children.get(trial.name)
            if trial.state not in _STATUS and known is not None and known.status == "RUNNING":
                self._close(known, "KILLED")
        values, tags, status = study_summary(self._study, trials, report)
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
        return (artifact_root(self._study.work) / self._study.name).as_uri() if local else None

    def _find(self) -> _Known | None:
        """Read all runs of this study."""
        parent = None
        for run in self._search():
            known = _known(run)
            trial = run.data.tags.get("bebertlab.trial")
            if trial is None:
                parent = parent or known
            else:
                self._children.setdefault(trial, known)
        return parent

    def _search(self) -> list[Run]:
        condition = f"tags.`bebertlab.digest` = '{self._study.digest}'"
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
        name = f"{self._study.name}@{self._study.digest[:8]}"
        known = self._create(name, {**study_tags(self._study), NOTE: self._study.description}, 0.0)
        parameters = [*parameters_of({**recipe_settings(self._study.resolved), **self._study.identity}).items()]
        for first in range(0, len(parameters), _BATCH):
            self._log(known, dict(parameters[first : first + _BATCH]), {}, {})
        self._keep_study(known.run)
        return known

    def _keep_study(self, run: str) -> None:
        """Write what it takes to run the study again: itself, and the files of its plugins by their places."""
        self._client.log_text(run, to_yaml(self._study.resolved), "study.yaml")
        for name in self._study.plugin_files:
            self._client.log_artifact(run, str(self._study.folder / name), str(PurePosixPath(name).parent))

    def _child(self, trial: TrialRecord) -> _Known:
        if trial.name not in self._children:
            tags = {**study_tags(self._study), "bebertlab.trial": trial.name, _PARENT: self.parent}
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
        self._uploaded = ["study.yaml", *self._study.plugin_files, *(path.name for path in report)]
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
    return _Known(
        run=str(run.info.run_id),
        status=str(run.info.status),
        params=set(run.data.params),
        metrics=dict(run.data.metrics),
        tags=set(run.data.tags),
    )
