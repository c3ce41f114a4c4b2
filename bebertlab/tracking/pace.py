"""The progress of a study, and an estimate of the time left."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from statistics import mean

_WINDOW = 20  #: latest trials that the estimate uses: early ones build the stages that later ones share
_FEWEST = 3  #: finished trials before there is an estimate


class Pace:
    """Counts trials and stages, and measures how fast they finish."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._planned: int | None = None
        self._before = 0
        self._finished = 0
        self._running: set[int] = set()
        self._workers = 1
        self._ends: deque[float] = deque(maxlen=_WINDOW + 1)
        self._by_stage = False
        self._missing: dict[str, str] = {}  # key to kind
        self._seconds: dict[str, list[float]] = {}

    @property
    def done(self) -> int:
        """Finished trials, those of earlier runs of the command included."""
        return self._before + self._finished

    @property
    def running(self) -> int:
        """Trials that run now."""
        return len(self._running)

    def begin(self, planned: int | None, finished: int, missing: Mapping[str, str]) -> None:
        """The study starts or continues; `missing` are the stages to build, empty if they are not known."""
        self._planned, self._before, self._missing = planned, finished, dict(missing)
        self._by_stage = bool(missing)
        self._began = self._clock()
        self._ends.append(self._began)

    def start(self, trial: int) -> None:
        """A trial starts."""
        self._running.add(trial)
        self._workers = max(self._workers, len(self._running))

    def cached(self, key: str) -> None:
        """A stage is in the store; another study may have built it in the meantime."""
        self._missing.pop(key, None)

    def built(self, key: str, kind: str, seconds: float) -> None:
        """A stage was built."""
        self.cached(key)
        self._seconds.setdefault(kind, []).append(seconds)

    def finish(self, trial: int, missing: Mapping[str, str]) -> None:
        """A trial ended; `missing` are the stages that the other trials still need: a failed one needs none."""
        self._missing = dict(missing)
        self._running.discard(trial)
        self._finished += 1
        self._ends.append(self._clock())

    def elapsed(self) -> float:
        """Seconds since the study began."""
        return self._clock() - self._began

    def standing(self) -> str:
        """Finished and planned trials, e.g. "3/12"."""
        return f"{self.done}/{self._planned}" if self._planned is not None else f"{self.done} done"

    def left(self) -> float | None:
        """Estimated seconds left; None while there is no estimate.

        If the missing stages are known: their number times the mean duration of their kind so far, divided by the
        number of trials that ran at the same time. Otherwise the trials left at the pace of the last ones; the seconds
        since the last trial count too, so that the estimate grows while nothing finishes.
        """
        if self._planned is None or self.done >= self._planned:
            return None
        return self._by_stages() if self._by_stage else self._by_trials(self._planned)

    def _by_stages(self) -> float | None:
        left = Counter(self._missing.values())
        if not left.keys() <= self._seconds.keys():
            return None
        return sum(count * mean(self._seconds[kind]) for kind, count in left.items()) / self._workers

    def _by_trials(self, planned: int) -> float | None:
        if self._finished < _FEWEST:
            return None
        pace = (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
        waited = self._clock() - self._ends[-1]
        return max(pace * (planned - self.done) - min(waited, pace), waited - pace, 0.0)
