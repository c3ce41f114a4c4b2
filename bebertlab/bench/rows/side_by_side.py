"""Several trainings at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from time import perf_counter

from attrs import evolve

from bebertlab.bench.clock import alternate
from bebertlab.bench.process import Worker
from bebertlab.bench.row import Finding, Goal, Missing, Row
from bebertlab.bench.scheme import W1A4, W1A8
from bebertlab.bench.setting import Setting
from bebertlab.processors import processors

TRIALS = Goal(
    name="trials.side-by-side",
    what="throughput of two single-threaded trials side by side / one two-threaded trial, W1A8 split",
    better="higher",
    goal=1.2,
    quick=False,
)
_MEMBERS = 4
MEMBERS = Goal(
    name="gpu.members",
    what=f"throughput of {_MEMBERS} members at once on one GPU / one after the other, W1A4 split",
    better="higher",
    goal=2.0,
)
GOALS = (TRIALS, MEMBERS)


def side_by_side(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """Trials on a CPU, members on a GPU."""
    for target in wanted:
        yield _trials(setting) if target is TRIALS else _members(setting)


def _trials(setting: Setting) -> Finding:
    if setting.on_gpu:
        return Missing(target=TRIALS, reason="threads matter on a CPU; this is a GPU")
    if processors().usable < 2:
        return Missing(target=TRIALS, reason="this machine has one core")
    block, total = _steps(setting)
    with ExitStack() as opened:
        single = [
            opened.enter_context(Worker(W1A8.name, evolve(setting, threads=1, seed=setting.seed + number), total))
            for number in range(2)
        ]
        double = opened.enter_context(Worker(W1A8.name, evolve(setting, threads=2), total))
        _ready(*single, double)
        blocks = {"two": lambda: _together(single, block), "one": lambda: _together([double], block)}
        timings = alternate(blocks, setting.turns)
    note = f"{block} steps of both in {timings.median('two'):.2f} s, of the one in {timings.median('one'):.2f} s"
    return Row(target=TRIALS, ratio=timings.ratio("one", "two", scale=2), note=note)


def _members(setting: Setting) -> Finding:
    if not setting.on_gpu:
        return Missing(target=MEMBERS, reason="needs a GPU: --device cuda")
    block, total = _steps(setting)
    with ExitStack() as opened:
        workers = [
            opened.enter_context(Worker(W1A4.name, evolve(setting, seed=setting.seed + number), 2 * total))
            for number in range(_MEMBERS)
        ]
        _ready(*workers)
        blocks: dict[str, Callable[[], float]] = {
            "together": lambda: _together(workers, block),
            "in turn": lambda: sum(_together([worker], block) for worker in workers),
        }
        timings = alternate(blocks, setting.turns)
    note = f"{block} steps of each in {timings.median('together'):.2f} s / {timings.median('in turn'):.2f} s"
    return Row(target=MEMBERS, ratio=timings.ratio("in turn", "together"), note=f"{note}; a process each")


def _steps(setting: Setting) -> tuple[int, int]:
    """Steps of a block, and of all blocks of one worker."""
    block = 2 * setting.steps
    return block, (setting.turns + 1) * block


def _ready(*workers: Worker) -> None:
    for worker in workers:
        worker.finish()


def _together(workers: Sequence[Worker], steps: int) -> float:
    """Seconds until all have trained."""
    start = perf_counter()
    for worker in workers:
        worker.start(steps)
    for worker in workers:
        worker.finish()
    return perf_counter() - start
