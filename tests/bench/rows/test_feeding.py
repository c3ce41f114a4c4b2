from __future__ import annotations

import pytest

from bebertlab.bench.row import Row
from bebertlab.bench.rows import feeding as rows
from bebertlab.bench.rows.feeding import TARGETS, feeding
from bebertlab.bench.setting import Setting


def test_tokens_and_batches_are_compared_with_training(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_SENTENCES", 128)
    seconds = iter([0.2, 0.12] * setting.turns)  # tokenising, then batching, turn by turn

    def told(call: object, device: str) -> float:
        assert callable(call)
        call()
        return next(seconds)

    monkeypatch.setattr(rows, "timed", told)
    monkeypatch.setattr(rows, "_step_seconds", lambda setting: 1.0)
    (row,) = feeding(TARGETS, setting)
    assert isinstance(row, Row)
    assert row.ratio.median == pytest.approx(0.32 / 16)  # 64 sentences are 16 steps of 4
    assert row.note == "a sentence: 3125 + 1875 us / 250000 us"


def test_a_step_is_measured_at_the_lengths_of_sst2(setting: Setting) -> None:
    assert rows._step_seconds(setting) > 0.0
