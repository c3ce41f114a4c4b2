"""Throughput of several trainings at once: trials on a CPU, ensemble members on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from time import perf_counter

from attrs import evolve

from bebertlab.bench.measurement import MissingRow, Row, RowResult, RowSpec, interleave
from bebertlab.bench.models import W1A4, W1A8, BenchConfig
from bebertlab.bench.process import TrainingWorker
from bebertlab.config.humanize import format_duration
from bebertlab.processors import processors

TRIALS = RowSpec(
    name="trials.side-by-side",
    description=(
        "throughput of two trials with one thread each / one trial with two threads (equal threads in all), W1A8 split"
    ),
    better="higher",
    goal=1.2,
    quick=False,
)
_MEMBERS = 4
MEMBERS = RowSpec(
    name="gpu.members",
    description=f"throughput of {_MEMBERS} members at once on one GPU / one after the other, W1A4 split",
    better="higher",
    goal=2.0,
)
CONCURRENCY = (TRIALS, MEMBERS)


def measure_concurrency(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Every training runs in its own process."""
    for spec in specs:
        yield _measure_trials(config) if spec is TRIALS else _measure_members(config)


def _measure_trials(config: BenchConfig) -> RowResult:
    """Two workers of one thread against one worker of two threads: both sides use two threads, whatever `threads` is.

    Two workers train twice as many steps in a block as one worker, hence the factor 2.
    """
    if config.on_gpu:
        return MissingRow(spec=TRIALS, reason="compares threads of a CPU: --device cpu")
    if processors().usable < 2:
        return MissingRow(spec=TRIALS, reason="needs at least two cores")
    steps, total = _steps(config)
    with ExitStack() as stack:
        single_threaded = [
            stack.enter_context(TrainingWorker(W1A8.name, evolve(config, threads=1, seed=config.seed + number), total))
            for number in range(2)
        ]
        two_threaded = stack.enter_context(TrainingWorker(W1A8.name, evolve(config, threads=2), total))
        _wait_for_all([*single_threaded, two_threaded])
        blocks = {
            "two workers": lambda: _train_together(single_threaded, steps),
            "one worker": lambda: _train_together([two_threaded], steps),
        }
        timings = interleave(blocks, config.repeats)
    note = (
        f"2 x {steps} steps, 1 thread each: {format_duration(timings.median('two workers'))}; "
        f"{steps} steps, 2 threads: {format_duration(timings.median('one worker'))}"
    )
    return Row(spec=TRIALS, ratio=timings.ratio("one worker", "two workers", scale=2), note=note)


def _measure_members(config: BenchConfig) -> RowResult:
    if not config.on_gpu:
        return MissingRow(spec=MEMBERS, reason="needs a GPU: --device cuda")
    steps, total = _steps(config)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(TrainingWorker(W1A4.name, evolve(config, seed=config.seed + number), 2 * total))
            for number in range(_MEMBERS)
        ]
        _wait_for_all(workers)
        blocks: dict[str, Callable[[], float]] = {
            "at once": lambda: _train_together(workers, steps),
            "in turn": lambda: sum(_train_together([worker], steps) for worker in workers),
        }
        timings = interleave(blocks, config.repeats)
    seconds = f"{format_duration(timings.median('at once'))} / {format_duration(timings.median('in turn'))}"
    note = f"{steps} steps of each in {seconds}; one process per member"
    return Row(spec=MEMBERS, ratio=timings.ratio("in turn", "at once"), note=note)


def _steps(config: BenchConfig) -> tuple[int, int]:
    """Steps of a block, and of all blocks of one worker."""
    steps = 2 * config.steps
    return steps, (config.repeats + 1) * steps


def _wait_for_all(workers: Sequence[TrainingWorker]) -> None:
    for worker in workers:
        worker.wait()


def _train_together(workers: Sequence[TrainingWorker], steps: int) -> float:
    """Seconds until all workers have trained `steps` steps."""
    start = perf_counter()
    for worker in workers:
        worker.start(steps)
    _wait_for_all(workers)
    return perf_counter() - start
