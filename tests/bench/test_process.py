from __future__ import annotations

import os

import pytest

from bebertlab.bench.models import BenchConfig
from bebertlab.bench.process import TrainingWorker, in_processes
from bebertlab.errors import SetupError


@pytest.mark.slow
def test_every_call_runs_in_a_new_process() -> None:
    # a new process can import the standard library, but not this file
    results = in_processes(eval, [(f"({number}, __import__('os').getpid())",) for number in (1, 2, 3)], at_once=1)
    assert [number for number, _ in results] == [1, 2, 3]
    assert len({process for _, process in results} | {os.getpid()}) == 4


@pytest.mark.slow
def test_death_of_a_process_is_a_setup_error() -> None:
    with pytest.raises(SetupError, match="died"):
        in_processes(os._exit, [(1,)], at_once=1)


@pytest.mark.slow
def test_worker_trains_as_many_steps_as_requested(config: BenchConfig) -> None:
    with TrainingWorker("w1a8", config, steps=3) as worker:
        assert worker.wait() == 0.0  # the model is built
        for steps in (1, 2):
            worker.start(steps)
            assert worker.wait() > 0.0


@pytest.mark.slow
def test_failure_of_a_worker_is_a_setup_error(config: BenchConfig) -> None:
    with TrainingWorker("w1a8", config, steps=1) as worker:
        worker.wait()
        worker.start(5)
        with pytest.raises(SetupError, match="a worker process of the benchmark failed"):
            worker.wait()
