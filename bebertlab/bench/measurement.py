"""Measuring: interleaved timings, their ratios, and the rows of the benchmark."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Literal

import torch
from attrs import frozen

Better = Literal["lower", "higher"]


#: of each turn of a contender, at least, in which it runs again and again: a turn begins with what the others left in
#: the caches, and a program that answers one sentence after another finds its own. About as long as one of the
#: slowest calls, so that turns of all last about as long, and a quick run stays quick
BLOCK_SECONDS = 0.1


@frozen(kw_only=True)
class Ratio:
    """A ratio that was measured several times."""

    median: float
    low: float  #: lowest measurement
    high: float  #: highest measurement

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """Median and range of repeated measurements.

        >>> Ratio.of([1.2, 1.0, 1.1])
        Ratio(median=1.1, low=1.0, high=1.2)
        """
        return cls(median=statistics.median(values), low=min(values), high=max(values))


@frozen(kw_only=True)
class RowSpec:
    """The measured ratio of a row, and its goal."""

    name: str  #: `group.member`; also selects the row on the command line
    description: str  #: the two sides of the comparison
    better: Better
    goal: float | None = None  #: bound on the ratio; None: for information only
    goal_shape: str | None = None  #: the goal is for one thread and models of this shape; None: for all
    quick: bool = True  #: also measured with `--quick`

    @property
    def group(self) -> str:
        """The part of the name before the dot."""
        return self.name.partition(".")[0]

    @property
    def member(self) -> str:
        """The part of the name after the dot."""
        return self.name.partition(".")[2]


@frozen(kw_only=True)
class Row:
    """A measured row."""

    spec: RowSpec
    ratio: Ratio
    note: str = ""  #: the figures that the ratio was computed from

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal; None without a goal."""
        if self.spec.goal is None:
            return None
        median, goal = self.ratio.median, self.spec.goal
        return median <= goal if self.spec.better == "lower" else median >= goal


@frozen(kw_only=True)
class MissingRow:
    """A row that could not be measured on this machine."""

    spec: RowSpec
    reason: str


RowResult = Row | MissingRow


@frozen(kw_only=True)
class Timings:
    """Seconds of interleaved blocks of work."""

    seconds: Mapping[str, tuple[float, ...]]  #: by name of the block, one per repeat; all of the same length

    def __getitem__(self, block: str) -> tuple[float, ...]:
        return self.seconds[block]

    def median(self, block: str) -> float:
        """The median seconds of a block."""
        return statistics.median(self.seconds[block])

    def ratio(self, numerator: str, denominator: str, *, scale: float = 1.0) -> Ratio:
        """Seconds of one block divided by those of another in the same repeat, times `scale`.

        A machine that slows down for a while slows down both blocks of a repeat.

        >>> Timings(seconds={"a": (2.0, 6.0, 5.0), "b": (1.0, 3.0, 2.0)}).ratio("a", "b")
        Ratio(median=2.0, low=2.0, high=2.5)
        """
        pairs = zip(self.seconds[numerator], self.seconds[denominator], strict=True)
        return Ratio.of([scale * a / b for a, b in pairs])


def interleave(blocks: Mapping[str, Callable[[], float]], repeats: int, *, warm_up: int = 1) -> Timings:
    """Run blocks alternately (A B A B ...); each returns the seconds to record. Warm-up repeats are not recorded."""
    seconds: dict[str, list[float]] = {name: [] for name in blocks}
    for repeat in range(-warm_up, repeats):
        for name, block in blocks.items():
            elapsed = block()
            if repeat >= 0:
                seconds[name].append(elapsed)
    return Timings(seconds={name: tuple(values) for name, values in seconds.items()})


def repeated(
    calls: Mapping[str, Callable[[], object]], device: str, *, at_least: float
) -> Mapping[str, Callable[[], float]]:
    """Blocks for `interleave`: each repeats its call for at least so many seconds and returns the mean."""
    return {name: partial(mean_seconds, call, device, at_least=at_least) for name, call in calls.items()}


def mean_seconds(call: Callable[[], object], device: str, *, at_least: float) -> float:
    """Mean seconds of a call that is repeated for at least so many seconds, as short calls vary."""
    calls, total = 0, 0.0
    while calls == 0 or total < at_least:
        total += timed(call, device)
        calls += 1
    return total / calls


def timed(call: Callable[[], object], device: str) -> float:
    """Seconds that a call takes, including the work it queues on a GPU."""
    synchronize(device)
    start = perf_counter()
    call()
    synchronize(device)
    return perf_counter() - start


def synchronize(device: str) -> None:
    """Wait for all work queued on a GPU; nothing to wait for on a CPU."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
