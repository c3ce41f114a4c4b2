"""Times of blocks that take turns, and their ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import torch
from attrs import frozen


@frozen(kw_only=True)
class Ratio:
    """A ratio of one thing to another, measured several times."""

    median: float
    low: float  #: the lowest of all
    high: float  #: the highest of all

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """The median and the spread of repeated measurements.

        >>> Ratio.of([1.2, 1.0, 1.1])
        Ratio(median=1.1, low=1.0, high=1.2)
        """
        return cls(median=statistics.median(values), low=min(values), high=max(values))


@frozen(kw_only=True)
class Timings:
    """Seconds of blocks, turn by turn."""

    seconds: Mapping[str, tuple[float, ...]]  #: by block, one for each turn; as many of each

    def __getitem__(self, block: str) -> tuple[float, ...]:
        """The seconds of a block, turn by turn."""
        return self.seconds[block]

    def median(self, block: str) -> float:
        """The median of a block's seconds."""
        return statistics.median(self.seconds[block])

    def ratio(self, over: str, under: str, *, scale: float = 1.0) -> Ratio:
        """The seconds of one block over those of another, turn by turn, times a scale.

        What slows the machine down for a while slows both blocks of a turn.

        >>> Timings(seconds={"a": (2.0, 6.0, 5.0), "b": (1.0, 3.0, 2.0)}).ratio("a", "b")
        Ratio(median=2.0, low=2.0, high=2.5)
        """
        pairs = zip(self.seconds[over], self.seconds[under], strict=True)
        return Ratio.of([scale * a / b for a, b in pairs])


def alternate(blocks: Mapping[str, Callable[[], float]], turns: int, warm_up: int = 1) -> Timings:
    """Run blocks in turns, A B A B; each says how many seconds of it count. The first turns are left out."""
    found: dict[str, list[float]] = {name: [] for name in blocks}
    for turn in range(warm_up + turns):
        for name, block in blocks.items():
            seconds = block()
            if turn >= warm_up:
                found[name].append(seconds)
    return Timings(seconds={name: tuple(values) for name, values in found.items()})


def timed(call: Callable[[], object], device: str) -> float:
    """Seconds that a call takes, what it has a GPU do included."""
    wait(device)
    start = perf_counter()
    call()
    wait(device)
    return perf_counter() - start


def wait(device: str) -> None:
    """Wait until a GPU has done all that it was told to do."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
