from __future__ import annotations

from collections.abc import Callable

import pytest
from tokenizers import Tokenizer

from bebertlab.bench.row import Goal, Row
from bebertlab.bench.rows import feeding as rows
from bebertlab.bench.rows.feeding import CACHE, GOALS, SHARE, feeding
from bebertlab.bench.setting import Setting
from bebertlab.data.tokens import Tokens, tokenize
from bebertlab.interfaces.task import Split


@pytest.fixture
def rows_told(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> dict[Goal, Row]:
    """Rows of 64 sentences, of which a turn takes 0.2 s to make tokens, 0.01 s to read them and 0.12 s for batches."""
    monkeypatch.setattr(rows, "_SENTENCES", 128)
    seconds = iter([0.2, 0.01, 0.12] * setting.turns)

    def told(call: Callable[[], None], device: str) -> float:
        call()
        return next(seconds)

    monkeypatch.setattr(rows, "timed", told)
    monkeypatch.setattr(rows, "_step_seconds", lambda setting: 1.0)
    return {row.target: row for row in feeding(GOALS, setting) if isinstance(row, Row)}


def test_tokens_and_batches_are_compared_with_training(rows_told: dict[Goal, Row]) -> None:
    row = rows_told[SHARE]
    assert row.ratio.median == pytest.approx(0.32 / 16)  # 64 sentences are 16 steps of 4
    assert row.note == "a sentence: 3125 + 1875 us / 250000 us"


def test_the_second_start_is_compared_with_the_first(rows_told: dict[Goal, Row]) -> None:
    row = rows_told[CACHE]
    assert row.ratio.median == pytest.approx(0.05)
    assert row.note == "64 sentences: 10.0 ms / 200.0 ms"


def test_the_second_start_reads_what_the_first_has_kept(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_SENTENCES", 128)
    calls: list[Tokenizer] = []

    def counted(tokenizer: Tokenizer, split: Split, maximum_tokens: int) -> Tokens:
        calls.append(tokenizer)
        return tokenize(tokenizer, split, maximum_tokens)

    monkeypatch.setattr(rows, "tokenize", counted)
    (row,) = feeding([CACHE], setting)
    assert row.target is CACHE
    assert len(calls) == setting.turns


def test_a_step_is_measured_at_the_lengths_of_sst2(setting: Setting) -> None:
    assert rows._step_seconds(setting) > 0.0
