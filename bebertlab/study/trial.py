"""What a worker does with a job: plan the recipe, carry it out, say what came of it."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bebertlab.errors import SetupError, UserError, suggestion
from bebertlab.interfaces.events import StageEvent, StagePhase, TrialState
from bebertlab.pipeline.execute import Results, execute
from bebertlab.pipeline.plan import ComputeSettings
from bebertlab.redact import redact
from bebertlab.registry.manager import load_plugins
from bebertlab.store.disk import is_disk_full
from bebertlab.store.store import Store
from bebertlab.study.job import TrialJob
from bebertlab.study.planner import Planner
from bebertlab.study.record import dump_event

Notify = Callable[[StageEvent], None]


class MetricMissing(UserError):
    """A result without the metric that trials are compared by."""


class TrialRunner:
    """What a worker keeps between jobs: plugins, loaded tasks, checked artifacts."""

    def __init__(self) -> None:
        self._planners: dict[tuple[object, ...], Planner] = {}
        self._stores: dict[str, Store] = {}

    def run(self, job: TrialJob, notify: Notify) -> dict[str, Any]:
        """The outcome of a job: `state`, `metrics`, `stages`, `seconds`, and for a failed one `error` and more.

        `metric_missing`: all went well, but the result has no such metric; that of other trials hardly will.
        `disk_full`: something could not be written for want of room; the trial is not to blame.
        """
        told = _RecordingNotifier(notify)
        try:
            results = self._execute(job, told)
            _check(results, job["metric"])
        except MetricMissing as error:
            return {**_failed(error, told), "metric_missing": True}
        except Exception as error:
            return {**_failed(error, told), "disk_full": is_disk_full(error)}
        return _outcome(TrialState.COMPLETE, list(results.stages), metrics=dict(results.metrics))

    def _execute(self, job: TrialJob, notify: Notify) -> Results:
        planner = self._planner(job)
        plan = planner.plan(job["recipe"])
        if plan.result.key != job["result"]:
            raise SetupError(
                "the worker plans this trial differently from the driver: a plugin or its data changed meanwhile; "
                "run the command again"
            )
        store = self._stores.setdefault(job["store"], Store(Path(job["store"])))
        return execute(plan, store, planner.codec, notify=notify, trial=job["number"])

    def _planner(self, job: TrialJob) -> Planner:
        key = (tuple(job["plugins"]), job["threads"], job["device"])
        if key not in self._planners:
            plugins = load_plugins([Path(file) for file in job["plugins"]])
            self._planners[key] = Planner(plugins, ComputeSettings(threads=job["threads"], device=job["device"]))
        return self._planners[key]


class _RecordingNotifier:
    """Passes events on and remembers what a failed trial got done."""

    def __init__(self, notify: Notify) -> None:
        self.finished: list[StageEvent] = []
        self.started: str | None = None  #: key of the stage that runs
        self._notify = notify

    def __call__(self, event: StageEvent) -> None:
        if event.phase is StagePhase.STARTED:
            self.started = event.key
        elif event.phase is StagePhase.FINISHED:
            self.started = None
            self.finished.append(event)
        self._notify(event)


def _check(results: Results, metric: str) -> None:
    value = results.metrics.get(metric)
    if value is None:
        raise MetricMissing(f"the result has no metric '{metric}'; {suggestion(metric, results.metrics)}")
    if not math.isfinite(value):
        raise UserError(f"{metric} is {value}")


def _failed(error: Exception, told: _RecordingNotifier) -> dict[str, Any]:
    text = redact(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
    return _outcome(
        TrialState.FAILED,
        told.finished,
        error=" ".join(text.split()),
        traceback=redact("".join(traceback.format_exception(error))),
        failed_key=told.started,
    )


def _outcome(state: TrialState, stages: list[StageEvent], **more: object) -> dict[str, Any]:
    return {
        "state": state.value,
        "metrics": {},
        "error": None,
        "traceback": None,
        "failed_key": None,
        "metric_missing": False,
        "disk_full": False,
        "seconds": sum(stage.seconds for stage in stages if not stage.stored),
        "stages": [dump_event(stage) for stage in stages],
        **more,
    }
