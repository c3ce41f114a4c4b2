from __future__ import annotations

import os

import pytest

from bebertlab.bench.process import Worker, in_processes
from bebertlab.bench.setting import Setting
from bebertlab.errors import SetupError


@pytest.mark.slow
def test_every_call_has_a_process_of_its_own() -> None:
    found = in_processes(os.getpgid, [(0,), (0,)], at_once=1)
    assert found == [os.getpgid(0)] * 2
    # a new process can import what Python has, but not this file
    numbers = in_processes(eval, [(f"({number}, __import__('os').getpid())",) for number in (1, 2, 3)], at_once=1)
    assert [argument for argument, _ in numbers] == [1, 2, 3]
    assert len({process for _, process in numbers} | {os.getpid()}) == 4


@pytest.mark.slow
def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(SetupError, match="died"):
        in_processes(os._exit, [(1,)], at_once=1)


@pytest.mark.slow
def test_a_worker_trains_when_it_is_told_to(setting: Setting) -> None:
    with Worker("w1a8", setting, steps=3) as worker:
        assert worker.finish() == 0.0  # it is built
        for steps in (1, 2):
            worker.start(steps)
            assert worker.finish() > 0.0


@pytest.mark.slow
def test_a_worker_that_ends_early_is_told(setting: Setting) -> None:
    with Worker("w1a8", setting, steps=1) as worker:
        worker.finish()
        worker.start(5)
        with pytest.raises(SetupError, match="ended early"):
            worker.finish()
