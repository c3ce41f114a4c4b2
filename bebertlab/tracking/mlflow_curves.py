"""The learning curves of running stages on their way to MLflow: buffered, and written in few calls."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from attrs import frozen

from bebertlab.interfaces.events import StageProgress
from bebertlab.interfaces.metric_names import curve_metric

WRITE_SECONDS = 10.0  #: at least, between two writes while a trial runs
SHARE = 0.01  #: of the time, at most, that these writes take: a slow server must not slow down the training
CAPACITY = 20_000  #: points that wait at most; the oldest are dropped where no server answers


@frozen(kw_only=True)
class CurvePoint:
    """A value at a step."""

    name: str  #: as MLflow shows it
    value: float
    step: int
    milliseconds: int  #: since 1970, when it was reported


class CurveBuffer:
    """Points that wait to be written, by the number of their trial."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._points: deque[tuple[int, CurvePoint]] = deque(maxlen=CAPACITY)
        self._next_write = clock() + WRITE_SECONDS

    def __len__(self) -> int:
        return len(self._points)

    def add(self, event: StageProgress) -> None:
        """Add the values of an event, and its epoch; nothing where it has no values, no step or no trial."""
        if event.trial is None or event.step is None or not event.values:
            return
        values = dict(event.values) if event.epoch is None else {**event.values, "epoch": event.epoch}
        now = int(1000 * time.time())
        for name, value in values.items():
            point = CurvePoint(name=curve_metric(event.stage, name), value=value, step=event.step, milliseconds=now)
            self._points.append((event.trial, point))

    def is_due(self) -> bool:
        """Whether there are points, and the last write was long enough ago."""
        return bool(self._points) and self._clock() >= self._next_write

    @contextmanager
    def paced(self) -> Iterator[None]:
        """Measures a write, so that the next one is not due before it has cost no more than its share of the time."""
        start = self._clock()
        try:
            yield
        finally:
            end = self._clock()
            self._next_write = end + max(WRITE_SECONDS, (end - start) * (1 / SHARE - 1))

    def write(self, log: Callable[[int, Sequence[CurvePoint]], None], trial: int | None = None) -> None:
        """Call `log` with each trial (or the given one) and its points; where it raises, its points stay."""
        numbers = dict.fromkeys(number for number, _ in self._points) if trial is None else (trial,)
        for wanted in numbers:
            points = [point for number, point in self._points if number == wanted]
            if points:
                log(wanted, points)
                others = [item for item in self._points if item[0] != wanted]
                self._points = deque(others, maxlen=CAPACITY)
