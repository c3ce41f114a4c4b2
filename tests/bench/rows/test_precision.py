from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from bebertlab.bench.measurement import MissingRow, Row
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows import precision as rows
from bebertlab.bench.rows.precision import REPEAT, SCORE, SPEED, measure_precision, measure_score
from bebertlab.interfaces.task import Task

if TYPE_CHECKING:
    from tests.bench.rows.conftest import FixedTimings


def test_speed_is_missing_without_bf16_instructions(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "multiplies_in_bf16", lambda device: False)
    (missing,) = measure_precision([SPEED], config)
    assert isinstance(missing, MissingRow)
    assert "no bf16 instructions" in missing.reason


def test_speed_is_fp32_seconds_over_bf16_seconds(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "multiplies_in_bf16", lambda device: True)
    monkeypatch.setattr(rows, "interleave", fixed_timings({"fp32": 0.3, "bf16": 0.2}))
    (row,) = measure_precision([SPEED], config)
    assert isinstance(row, Row)
    assert row.ratio.median == pytest.approx(1.5)
    assert row.note == "300 ms / 200 ms"


def test_training_in_bf16_is_repeatable(config: BenchConfig) -> None:
    (row,) = measure_precision([REPEAT], config)
    assert isinstance(row, Row)
    assert row.ratio.median == 0.0
    assert row.met is True


@pytest.mark.parametrize(
    ("fp32", "bf16", "ratio", "met"),
    [
        ([80.0, 84.0, 82.0], [81.0, 80.0, 82.0], 0.25, True),
        ([80.0, 84.0, 82.0], [70.0, 70.0, 70.0], 3.0, False),
        ([80.0, 80.0, 80.0], [80.0, 80.0, 80.0], 0.0, True),
        ([80.0, 80.0, 80.0], [80.0, 80.0, 83.0], float("inf"), False),
    ],
)
def test_difference_of_scores_is_compared_with_their_range_over_seeds(
    fp32: list[float],
    bf16: list[float],
    ratio: float,
    met: bool,
    config: BenchConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def scores(task: Task, config: BenchConfig, precision: str) -> Iterator[float]:
        yield from {"fp32": fp32, "bf16": bf16}[precision]

    monkeypatch.setattr(rows, "_scores", scores)
    monkeypatch.setattr(rows, "_TASK", {**rows._TASK, "size": 20})
    (row,) = measure_score(SCORE, config)
    assert row.ratio.median == pytest.approx(ratio)
    assert row.met is met


def test_models_are_trained_and_scored(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    task = {**rows._TASK, "size": 32, "select_size": 8, "validation_size": 40}
    monkeypatch.setattr(rows, "_TASK", task)
    monkeypatch.setattr(rows, "_TRAIN", {"epochs": 1})
    (row,) = measure_score(SCORE, config)
    assert row.note.endswith("3 seeds")
