"""How far a study is, and about how long it still takes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from statistics import mean

_WINDOW = 20  #: trials that the estimate looks back on: early ones make the stages that later ones share
_FEWEST = 3  #: trials before anything is estimated


class Pace:
    """Counts trials and stages, and measures how fast they are done."""

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
        """The study starts or goes on; `missing` are the stages to be made, empty where that is not known."""
        self._planned, self._before, self._missing = planned, finished, dict(missing)
        self._by_stage = bool(missing)
        self._began = self._clock()
        self._ends.append(self._began)

    def start(self, trial: int) -> None:
        """A trial runs."""
        self._running.add(trial)
        self._workers = max(self._workers, len(self._running))

    def found(self, key: str) -> None:
        """A stage is in the store; another study may have made it meanwhile."""
        self._missing.pop(key, None)

    def made(self, key: str, kind: str, seconds: float) -> None:
        """A stage was made."""
        self.found(key)
        self._seconds.setdefault(kind, []).append(seconds)

    def finish(self, trial: int, missing: Mapping[str, str]) -> None:
        """A trial ended; `missing` are the stages that the others still need: those of a failed one are not made."""
        self._missing = dict(missing)
        self._running.discard(trial)
        self._finished += 1
        self._ends.append(self._clock())

    def elapsed(self) -> float:
        """Seconds since the study began."""
        return self._clock() - self._began

    def standing(self) -> str:
        """Trials done of those planned."""
        return f"{self.done}/{self._planned}" if self._planned is not None else f"{self.done} done"

    def left(self) -> float | None:
        """Seconds left; None while nothing can be said.

        Where it is known what is to be made: the stages left, each as long as those of its kind before, shared among
        as many workers as trials ran at once. Else the trials left at the pace of the last ones; the seconds since
        the last trial count too, so that the estimate grows while nothing finishes.
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
