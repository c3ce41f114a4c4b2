"""The worker's side of a trial: plan its recipe, run it, report the outcome."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import evolve

from bebertlab.errors import SetupError, UserError, suggestion
from bebertlab.interfaces.events import StageEvent, StageFinished, StageResult, StageStarted, TrialState
from bebertlab.pipeline.execute import Results, execute
from bebertlab.pipeline.plan import ComputeSettings
from bebertlab.redact import redact
from bebertlab.registry.manager import load_plugins
from bebertlab.store.disk import is_disk_full
from bebertlab.store.store import Store
from bebertlab.study.devices import describe_device
from bebertlab.study.messages import TrialJob, TrialOutcome
from bebertlab.study.planner import Planner

Notify = Callable[[StageEvent], None]


class MetricMissing(UserError):
    """A result lacks a metric that trials are compared by."""


class TrialRunner:
    """Runs trials in this process, and keeps loaded plugins, loaded tasks and verified artifacts between them."""

    def __init__(self) -> None:
        self._planners: dict[tuple[object, ...], Planner] = {}
        self._stores: dict[Path, Store] = {}

    def run(self, job: TrialJob, notify: Notify) -> TrialOutcome:
        """Run a trial. Never raises an `Exception`: a trial that fails has an outcome, too."""
        recorder = _StageRecorder(notify)
        try:
            results = self._execute(job, recorder)
            for metric in job.metrics:
                _check(results, metric)
        except MetricMissing as error:
            return evolve(_failed(job, error, recorder), metric_missing=True)
        except Exception as error:
            return evolve(_failed(job, error, recorder), disk_full=is_disk_full(error))
        return TrialOutcome(
            state=TrialState.COMPLETE,
            metrics=dict(results.metrics),
            stages=results.stages,
            seconds=_seconds(results.stages),
            device=_device(job, results.stages),
        )

    def _execute(self, job: TrialJob, recorder: _StageRecorder) -> Results:
        planner = self._planner(job)
        plan = planner.plan(job.recipe)
        if plan.result.key != job.result:
            raise SetupError(
                "the worker plans this trial differently from the driver: a plugin or its data changed meanwhile; "
                "run the command again"
            )
        store = self._stores.setdefault(job.store, Store(job.store))
        return execute(
            plan,
            store,
            planner.codec,
            notify=recorder,
            trial=job.number,
            save_state_minutes=job.save_state_minutes,
        )

    def _planner(self, job: TrialJob) -> Planner:
        key = (job.plugins, job.threads, job.device)
        if key not in self._planners:
            settings = ComputeSettings(threads=job.threads, device=job.device)
            self._planners[key] = Planner(load_plugins(job.plugins), settings)
        return self._planners[key]


class _StageRecorder:
    """Passes events on, and remembers the finished stages of a trial that may fail."""

    def __init__(self, notify: Notify) -> None:
        self.finished: list[StageResult] = []
        self.running: str | None = None  #: key of the stage that runs
        self._notify = notify

    def __call__(self, event: StageEvent) -> None:
        if isinstance(event, StageStarted):
            self.running = event.key
        elif isinstance(event, StageFinished):
            self.running = None
            self.finished.append(event.result)
        self._notify(event)


def _check(results: Results, metric: str) -> None:
    value = results.metrics.get(metric)
    if value is None:
        raise MetricMissing(f"the result has no metric '{metric}'; {suggestion(metric, results.metrics)}")
    if not math.isfinite(value):
        raise UserError(f"{metric} is {value}")


def _failed(job: TrialJob, error: Exception, recorder: _StageRecorder) -> TrialOutcome:
    text = redact(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
    return TrialOutcome(
        state=TrialState.FAILED,
        stages=tuple(recorder.finished),
        seconds=_seconds(recorder.finished),
        device=_device(job, recorder.finished),
        error=" ".join(text.split()),
        traceback=redact("".join(traceback.format_exception(error))),
        failed_key=recorder.running,
    )


def _seconds(stages: Iterable[StageResult]) -> float:
    return sum(stage.seconds for stage in stages if not stage.stored)


def _device(job: TrialJob, stages: Iterable[StageResult]) -> str | None:
    """The device of a trial; None where no stage ran on it."""
    return describe_device(job.device) if any(not stage.stored for stage in stages) else None
