from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bebertlab.bench.row import Row
from bebertlab.bench.rows import throughput as rows
from bebertlab.bench.rows.throughput import GOALS, PREDICTION, TRAINING, throughput
from bebertlab.bench.setting import Setting

if TYPE_CHECKING:
    from tests.bench.rows.conftest import Told


def test_examples_a_second_are_compared(setting: Setting, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    # 8 steps of 4 sentences in 1.6 s are 20 a second; one step of 4 in 1 s is 4; 96 predictions in 0.6 s are 160
    seconds = {"training": 1.6, TRAINING.name: 1.0, PREDICTION.name: 0.6}
    monkeypatch.setattr(rows, "alternate", told(seconds))
    found = {one.target: one for one in throughput(GOALS, setting) if isinstance(one, Row)}
    assert found[TRAINING].ratio.median == pytest.approx(5.0)
    assert found[TRAINING].met is True
    assert found[TRAINING].note == "20 / 4 examples a second"
    assert found[PREDICTION].ratio.median == pytest.approx(8.0)


def test_one_of_them_alone(setting: Setting, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "alternate", told({"training": 2.0, PREDICTION.name: 3.0}))
    (row,) = throughput([PREDICTION], setting)
    assert isinstance(row, Row)
    assert row.ratio.median == pytest.approx(2.0)
    assert row.met is False
