"""Jobs in workers of Ray Tune, which executes and owns nothing: the host says what is next and keeps what came of it.

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

import ray
from ray import tune
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined] # compiled, without types
from ray.tune.search import Searcher

from bebertlab.errors import SetupError
from bebertlab.study.executors.base import Executor, TrialSource
from bebertlab.study.executors.folder import private_folder
from bebertlab.study.executors.mailbox import Mailbox, post
from bebertlab.study.interrupts import Interrupts
from bebertlab.study.job import TrialJob
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
    """Runs jobs in a number of worker processes on this machine."""

    def __init__(self, *, jobs: int, threads: int = 1, gpus: float = 0.0) -> None:
        self._jobs = jobs  #: worker processes
        self._threads = threads  #: of each worker
        self._gpus = gpus  #: of the machine, shared by the workers

    def run(self, host: TrialSource, interrupts: Interrupts) -> None:
        """Run every job; Ctrl-C stops Ray and with it what runs."""
        with private_folder() as folder, _environment(folder), _silence():
            try:
                self._start(folder)
                interrupts.renew()  # Ray ends the process at SIGTERM
                self._fit(host, interrupts, folder)
            finally:
                ray.shutdown()

    def _start(self, folder: Path) -> None:
        try:
            ray.init(
                address="local",
                num_cpus=self._jobs * self._threads,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                object_store_memory=80 * _MEBIBYTE,  # next to nothing passes through it; 75 is Ray's least
                _temp_dir=str(folder / "r"),  # Ray lets everybody write there; the token beside it stays ours
            )
        except (RuntimeError, OSError, ValueError, ray.exceptions.RayError) as error:
            words = str(error).splitlines() or [""]
            raise SetupError(f"Ray does not start: {words[0]}; --executor local works without it") from error

    def _fit(self, host: TrialSource, interrupts: Interrupts, folder: Path) -> None:
        bridge = Bridge(host, interrupts, Mailbox(folder / "events"))
        trainable = tune.with_resources(JobTrainable, {"cpu": self._threads, "gpu": self._gpus / self._jobs})
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=HostSearcher(bridge),
                num_samples=-1,
                max_concurrent_trials=self._jobs,
                reuse_actors=True,  # starting a worker costs seconds, a trial in one that is there milliseconds
                trial_dirname_creator=_dirname,
            ),
            run_config=tune.RunConfig(
                name="jobs", storage_path=str(folder / "tune"), verbose=0, callbacks=[HostCallback(bridge)]
            ),
        )
        try:
            with interrupts.shielded():
                tuner.fit()
        except Leave:
            pass
        if bridge.error is not None:
            raise bridge.error


class JobTrainable(tune.Trainable):  # type: ignore[misc] # Ray has no types
    """A worker: what it keeps between jobs is its bench."""

    def setup(self, config: Mapping[str, Any]) -> None:
        """Called once in a new worker."""
        self._job = json.loads(config["job"])
        self._bench = TrialRunner()

    def reset_config(self, new_config: Mapping[str, Any]) -> bool:
        """Called for every further job of the worker."""
        self._job = json.loads(new_config["job"])
        return True

    def step(self) -> dict[str, Any]:
        """Run the job."""
        job = self._job
        with _heard() as warned:
            outcome = self._bench.run(job, lambda event: post(Path(job["events"]), event))
        return {"done": True, "outcome": json.dumps({**outcome, "warnings": warned})}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save: stages are in the store."""

    def load_checkpoint(self, checkpoint: object) -> None:
        """Nothing to load."""


class Leave(BaseException):
    """Leaves Tune's loop, which catches exceptions."""


class Bridge:
    """Host, interrupts and events for the two objects that Tune calls."""

    def __init__(self, host: TrialSource, interrupts: Interrupts, mailbox: Mailbox) -> None:
        self.error: BaseException | None = None
        self._host = host
        self._interrupts = interrupts
        self._mailbox = mailbox
        self._jobs: dict[str, TrialJob] = {}  # Tune's trial id to the job

    def suggest(self, trial_id: str) -> dict[str, str] | str | None:
        """The next job for Tune; `Searcher.FINISHED` where there are no more."""
        with self._leaving():
            job = self._host.next_job()
            if job is None:
                return str(Searcher.FINISHED) if self._host.is_done() else None
            self._jobs[trial_id] = job
            return {"job": json.dumps({**job, "events": str(self._mailbox.open(job["number"]))})}

    def complete(self, trial_id: str, result: Mapping[str, Any] | None, error: bool) -> None:
        """A trial of Tune ended."""
        with self._leaving():
            number = self._jobs.pop(trial_id)["number"]
            for event in self._mailbox.close(number):
                self._host.on_event(event)
            if error or result is None or "outcome" not in result:
                self._host.on_lost(number, "its worker died (killed, or out of memory)")
            else:
                self._host.on_finished(number, json.loads(result["outcome"]))

    def poll(self) -> None:
        """Tell events that came in, and leave where the user wants to."""
        with self._leaving():
            for event in self._mailbox.collect():
                self._host.on_event(event)
            self._interrupts.check()

    @contextlib.contextmanager
    def _leaving(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.error = error
            raise Leave from error


class HostSearcher(Searcher):  # type: ignore[misc] # Ray has no types
    """Tune asks it for trials; it asks the host."""

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
        """Nothing: the journal has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal has it all."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it beside its own state


class HostCallback(tune.Callback):  # type: ignore[misc] # Ray has no types
    """Called by Tune about ten times a second, in the driver's main thread."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def on_step_begin(self, iteration: int, trials: list[Any], **info: object) -> None:
        """Look what the workers told."""
        self._bridge.poll()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it beside its own state


def _dirname(trial: object) -> str:
    return str(trial)


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """Our own warnings in a worker, whose stderr nobody sees."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    listener = Listener(logging.WARNING)
    logging.getLogger("bebertlab").addHandler(listener)
    try:
        yield lines
    finally:
        logging.getLogger("bebertlab").removeHandler(listener)


@contextlib.contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """The settings of Ray; the token for its workers is our own, not the user's in ~/.ray."""
    token = folder / "token"
    with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    before = dict(os.environ)
    os.environ.update({**_ENVIRONMENT, "RAY_AUTH_TOKEN_PATH": str(token)})
    AuthenticationTokenLoader.instance().reset_cache()  # it remembers the token of an earlier session
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():  # Ray itself sets some
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep Ray's messages off the terminal: what the user must know, the host tells."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
