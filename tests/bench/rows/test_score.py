from __future__ import annotations

from collections.abc import Iterator

import pytest

from bebertlab.bench.row import Row
from bebertlab.bench.rows import score as rows
from bebertlab.bench.rows.score import GOALS, score
from bebertlab.bench.setting import Setting
from bebertlab.interfaces.task import Task


@pytest.mark.parametrize(
    ("fp32", "bf16", "ratio", "met"),
    [
        ([80.0, 84.0, 82.0], [81.0, 80.0, 82.0], 0.25, True),
        ([80.0, 84.0, 82.0], [70.0, 70.0, 70.0], 3.0, False),
        ([80.0, 80.0, 80.0], [80.0, 80.0, 80.0], 0.0, True),
        ([80.0, 80.0, 80.0], [80.0, 80.0, 83.0], float("inf"), False),
    ],
)
def test_a_difference_is_measured_in_the_noise_of_seeds(
    fp32: list[float],
    bf16: list[float],
    ratio: float,
    met: bool,
    setting: Setting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def scores(task: Task, setting: Setting, precision: str) -> Iterator[float]:
        yield from {"fp32": fp32, "bf16": bf16}[precision]

    monkeypatch.setattr(rows, "_scores", scores)
    monkeypatch.setattr(rows, "_TASK", {**rows._TASK, "size": 20})
    (row,) = score(GOALS, setting)
    assert isinstance(row, Row)
    assert row.ratio.median == pytest.approx(ratio)
    assert row.met is met


def test_models_are_trained_and_scored(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    task = {**rows._TASK, "size": 32, "select_size": 8, "validation_size": 40}
    monkeypatch.setattr(rows, "_TASK", task)
    monkeypatch.setattr(rows, "_TRAIN", {"epochs": 1})
    (row,) = score(GOALS, setting)
    assert isinstance(row, Row)
    assert "over 3 seeds" in row.note
