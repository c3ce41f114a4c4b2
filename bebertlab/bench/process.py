"""Measurements that run in separate processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from types import TracebackType
from typing import Self, TypeVar

import torch

from bebertlab.bench.models import BenchConfig, scheme_named
from bebertlab.bench.training import equal_length_setup, train_labels
from bebertlab.errors import SetupError

T = TypeVar("T")


def in_processes(call: Callable[..., T], arguments: Sequence[tuple[object, ...]], *, at_once: int) -> list[T]:
    """The results of `call` for each of the arguments, each computed in a new process, `at_once` at a time.

    Raises:
        SetupError: a process died, most likely out of memory.
    """
    with ProcessPoolExecutor(max_workers=at_once, mp_context=_context(), max_tasks_per_child=1) as pool:
        try:
            return list(pool.map(call, *zip(*arguments, strict=True)))
        except BrokenProcessPool as error:
            raise SetupError("a worker process of the benchmark died, possibly out of memory") from error


class TrainingWorker:
    """A process that trains a scheme by the requested number of steps; a context manager.

    The model is built at once: call `wait` before the first `start`.

    Raises:
        SetupError: from `wait`, if the process ended with an error.
    """

    def __init__(self, scheme: str, config: BenchConfig, steps: int) -> None:
        context = _context()
        self._connection, remote = context.Pipe()
        self._process = context.Process(target=_serve, args=(remote, scheme, config, steps), daemon=True)
        self._process.start()
        remote.close()

    def start(self, steps: int) -> None:
        """Start training for `steps` steps."""
        self._connection.send(steps)

    def wait(self) -> float:
        """Wait until the model is built or the steps are done, and return the seconds of the steps."""
        try:
            seconds: float = self._connection.recv()
        except EOFError as error:
            raise SetupError("a worker process of the benchmark failed; its error is printed above") from error
        return seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()  # the worker receives an end of file and exits
        self._process.join()


def _serve(connection: Connection, scheme: str, config: BenchConfig, steps: int) -> None:
    torch.set_num_threads(config.threads)
    setup = equal_length_setup(config, steps)
    with train_labels(scheme_named(scheme).build(config), setup) as training:
        connection.send(0.0)
        while True:
            try:
                requested: int = connection.recv()
            except EOFError:
                return
            connection.send(training.train(requested))


def _context() -> SpawnContext:
    """Spawns new interpreters: a forked process would lack the threads of torch."""
    return multiprocessing.get_context("spawn")
