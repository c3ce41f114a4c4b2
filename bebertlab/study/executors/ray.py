"""Trials in workers of Ray Tune, which only executes: the driver decides what runs next and keeps the results.

Imported only where it is used: Ray takes seconds.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import secrets
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import ray
from ray import tune
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined] # compiled, without types
from ray.tune.search import Searcher

from bebertlab.errors import SetupError
from bebertlab.study.devices import device_in_worker, gpu_share, visible_to_workers
from bebertlab.study.executors.base import Executor, TrialSource
from bebertlab.study.executors.session import EventFiles, append_event, private_folder
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.messages import TrialJob, TrialOutcome, dump, load
from bebertlab.study.trial import TrialRunner

_MEBIBYTE = 2**20
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of a study mean the same in a worker
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # with Tune's own, fit() returns as if all were well
    "TUNE_WARN_SLOW_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "1e9",
}


class RayExecutor(Executor):
    """Runs trials in worker processes on this machine."""

    def __init__(self, *, jobs: int, threads: int = 1, gpus: int = 0, device: str = "cpu") -> None:
        """Run `jobs` trials at a time on `device`, which stands for a number of GPUs."""
        self._jobs = jobs
        self._threads = threads  #: of each worker
        self._gpus = gpus  #: shared by the workers
        self._device = device  #: as the user names it

    def run(self, source: TrialSource, interrupts: Interrupts) -> None:
        """Run every trial; Ctrl-C stops Ray and the running trials."""
        with private_folder() as folder, _environment(folder, self._device), _silence():
            try:
                self._start(folder)
                interrupts.renew()  # Ray ends the process at SIGTERM
                self._fit(source, interrupts, folder)
            finally:
                ray.shutdown()

    def _start(self, folder: Path) -> None:
        try:
            ray.init(
                address="local",
                num_cpus=self._jobs * self._threads,
                num_gpus=self._gpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                object_store_memory=80 * _MEBIBYTE,  # hardly anything passes through it; Ray's minimum is 75
                _temp_dir=str(folder / "r"),  # every user may write there, but not read the token next to it
            )
        except Exception as error:  # a bare one where its processes take longer than 30 seconds to start
            lines = str(error).splitlines() or [""]
            raise SetupError(f"Ray does not start: {lines[0]}; --executor local works without it") from error

    def _fit(self, source: TrialSource, interrupts: Interrupts, folder: Path) -> None:
        bridge = Bridge(source, interrupts, EventFiles(folder / "events"))
        resources = {"cpu": self._threads, "gpu": gpu_share(self._gpus, self._jobs)}
        trainable = tune.with_resources(TrialTrainable, resources)
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=SourceSearcher(bridge),
                num_samples=-1,
                max_concurrent_trials=self._jobs,
                reuse_actors=True,  # a new worker takes seconds to start, a trial in a running one milliseconds
                trial_dirname_creator=_dirname,
            ),
            run_config=tune.RunConfig(
                name="jobs", storage_path=str(folder / "tune"), verbose=0, callbacks=[PollCallback(bridge)]
            ),
        )
        try:
            with interrupts.shielded():
                tuner.fit()
        except Leave:
            pass
        if bridge.error is not None:
            raise bridge.error


class TrialTrainable(tune.Trainable):  # type: ignore[misc] # Ray has no types
    """A worker; it keeps its runner between trials."""

    def setup(self, config: Mapping[str, str]) -> None:
        """Called once in a new worker."""
        self._config = config
        self._runner = TrialRunner()

    def reset_config(self, new_config: Mapping[str, str]) -> bool:
        """Called for every further trial of the worker."""
        self._config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Run the trial."""
        job = load(json.loads(self._config["job"]), TrialJob)
        job = attrs.evolve(job, device=device_in_worker(job.device))
        events = Path(self._config["events"])
        with _warnings() as warned:
            outcome = self._runner.run(job, lambda event: append_event(events, event))
        return {"done": True, "outcome": json.dumps(dump(attrs.evolve(outcome, warnings=tuple(warned))))}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing: stages are in the store."""

    def load_checkpoint(self, checkpoint: object) -> None:
        """Do nothing."""


class Leave(BaseException):
    """Leaves Tune's loop, which catches every `Exception`."""


class Bridge:
    """Connects the two objects that Tune calls with the source, the interrupts and the events."""

    def __init__(self, source: TrialSource, interrupts: Interrupts, events: EventFiles) -> None:
        self.error: BaseException | None = None
        self._source = source
        self._interrupts = interrupts
        self._events = events
        self._numbers: dict[str, int] = {}  # Tune's trial id to the number of our trial

    def suggest(self, trial_id: str) -> dict[str, str] | str | None:
        """The next trial as a configuration of Tune; `Searcher.FINISHED` where there are no more."""
        with self._leaving():
            job = self._source.next_job()
            if job is None:
                return str(Searcher.FINISHED) if self._source.is_done() else None
            self._numbers[trial_id] = job.number
            return {"job": json.dumps(dump(job)), "events": str(self._events.open(job.number))}

    def complete(self, trial_id: str, result: Mapping[str, Any] | None, error: bool) -> None:
        """A trial of Tune ended."""
        with self._leaving():
            number = self._numbers.pop(trial_id)
            for event in self._events.close(number):
                self._source.on_event(event)
            if error or result is None or "outcome" not in result:
                self._source.on_lost(number, "its worker died (killed, or out of memory)")
            else:
                self._source.on_finished(number, load(json.loads(result["outcome"]), TrialOutcome))

    def poll(self) -> None:
        """Pass on new events; leave Tune where the user interrupted."""
        with self._leaving():
            for event in self._events.read():
                self._source.on_event(event)
            self._interrupts.check()

    @contextlib.contextmanager
    def _leaving(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.error = error
            raise Leave from error


class SourceSearcher(Searcher):  # type: ignore[misc] # Ray has no types
    """Tune asks it for trials, and it asks the source."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(metric="done", mode="max")
        self._bridge = bridge

    def suggest(self, trial_id: str) -> dict[str, str] | str | None:
        """The configuration of a trial."""
        return self._bridge.suggest(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial ended."""
        self._bridge.complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal has every trial."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the journal has every trial."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it with its own state


class PollCallback(tune.Callback):  # type: ignore[misc] # Ray has no types
    """Called by Tune about ten times a second, in the driver's main thread."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def on_step_begin(self, iteration: int, trials: list[Any], **info: object) -> None:
        """Pass on the events of the workers."""
        self._bridge.poll()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it with its own state


def _dirname(trial: object) -> str:
    return str(trial)


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """The warnings that bebertlab logs in a worker, whose stderr is not shown."""
    messages: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    handler = Handler(logging.WARNING)
    logging.getLogger("bebertlab").addHandler(handler)
    try:
        yield messages
    finally:
        logging.getLogger("bebertlab").removeHandler(handler)


@contextlib.contextmanager
def _environment(folder: Path, device: str) -> Iterator[None]:
    """The settings of Ray; its token for workers is one of this session, not the user's in ~/.ray."""
    token = folder / "token"
    with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    before = dict(os.environ)
    os.environ.update({**_ENVIRONMENT, **visible_to_workers(device, before), "RAY_AUTH_TOKEN_PATH": str(token)})
    AuthenticationTokenLoader.instance().reset_cache()  # it remembers the token of an earlier session
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():  # Ray itself sets some
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep Ray's messages off the terminal: the driver reports what users must know."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
