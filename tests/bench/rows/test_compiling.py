from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import ClassVar, Self

import pytest

from bebertlab.bench.clock import Timings
from bebertlab.bench.row import Row
from bebertlab.bench.rows import compiling as rows
from bebertlab.bench.rows.compiling import GOALS, compiling
from bebertlab.bench.setting import Setting
from bebertlab.training.options import TrainOptions


class Scripted:
    """A training that takes as long as it was told to."""

    seconds: ClassVar[list[float]] = [1.0, 41.0]  # plain, compiled

    def __init__(self, model: object, phase: object, setup: object) -> None:
        self._seconds = self.seconds.pop(0)

    def take(self, steps: int) -> float:
        return self._seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@pytest.mark.parametrize(
    ("compiled", "note"),
    [
        (0.5, "compiling takes 40 s; break-even after 80 steps"),
        (2.0, "compiling takes 40 s; never pays"),
    ],
)
def test_the_break_even_is_told(compiled: float, note: str, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def alternate(blocks: Mapping[str, Callable[[], float]], turns: int) -> Timings:
        return Timings(seconds={"plain": (1.0,), "compiled": (compiled,)})

    monkeypatch.setattr(Scripted, "seconds", [1.0, 41.0])
    monkeypatch.setattr(rows, "Steps", Scripted)
    monkeypatch.setattr(rows, "alternate", alternate)
    monkeypatch.setattr(rows, "train_options", lambda setting, **values: TrainOptions())
    (row,) = compiling(GOALS, setting)
    assert isinstance(row, Row)
    assert row.ratio.median == pytest.approx(1.0 / compiled)
    assert row.note == note
    assert row.met is None
