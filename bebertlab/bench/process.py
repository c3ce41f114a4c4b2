"""Measurements in processes of their own."""

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

from bebertlab.bench.scheme import SCHEMES
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import Steps, equal_setup, labels_phase
from bebertlab.errors import SetupError

T = TypeVar("T")


def in_processes(call: Callable[..., T], arguments: Sequence[tuple[object, ...]], *, at_once: int) -> list[T]:
    """The results of a call with each of the arguments, every one in a fresh process.

    Raises:
        SetupError: a process died, most likely for want of memory.
    """
    with ProcessPoolExecutor(max_workers=at_once, mp_context=_context(), max_tasks_per_child=1) as pool:
        try:
            return list(pool.map(call, *zip(*arguments, strict=True)))
        except BrokenProcessPool as error:
            raise SetupError("a process of the measurement died; is there too little memory?") from error


class Worker:
    """A training in a process of its own that goes on when it is told to.

    Raises:
        SetupError: the process ended before it was told to.
    """

    def __init__(self, name: str, setting: Setting, steps: int) -> None:
        context = _context()
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, name, setting, steps), daemon=True)
        self._process.start()
        other.close()

    def start(self, steps: int) -> None:
        """Tell it to train so many steps."""
        self._connection.send(steps)

    def finish(self) -> float:
        """Wait until it has trained, or is built in the first place, and say how many seconds that took."""
        try:
            seconds: float = self._connection.recv()
        except EOFError as error:
            raise SetupError("a process of the measurement ended early; its error is above") from error
        return seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()  # its next question is answered by an end of file
        self._process.join()


def _serve(connection: Connection, name: str, setting: Setting, steps: int) -> None:
    """What a worker does: it says when it is ready, then trains as many steps as it is told to, again and again."""
    torch.set_num_threads(setting.threads)
    scheme = next(one for one in SCHEMES if one.name == name)
    setup = equal_setup(setting, steps)
    with Steps(scheme.build(setting), labels_phase(), setup) as training:
        connection.send(0.0)
        while True:
            try:
                told: int = connection.recv()
            except EOFError:
                return
            connection.send(training.take(told))


def _context() -> SpawnContext:
    """Never a fork of this process, whose threads would be missing in it."""
    return multiprocessing.get_context("spawn")
