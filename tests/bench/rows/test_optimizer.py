from __future__ import annotations

from time import sleep

import pytest

from bebertlab.bench.row import Row
from bebertlab.bench.rows.optimizer import GOALS, Stopwatch, optimizer
from bebertlab.bench.setting import Setting


def test_the_part_is_between_nothing_and_all(setting: Setting) -> None:
    (row,) = optimizer(GOALS, setting)
    assert isinstance(row, Row)
    assert 0.0 < row.ratio.low <= row.ratio.median <= row.ratio.high < 1.0


def test_a_stopwatch_adds_up_its_calls() -> None:
    seen: list[float] = []

    def call(seconds: float) -> None:
        seen.append(seconds)
        sleep(seconds)

    watch = Stopwatch(call, "cpu")
    watch(0.01)
    watch(0.02)
    assert seen == [0.01, 0.02]
    assert watch.seconds == pytest.approx(0.03, abs=0.02)
    assert watch.seconds >= 0.03
