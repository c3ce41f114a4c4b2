from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from tokenizers import Tokenizer

from bebertlab.bench.measurement import MissingRow, Row, RowSpec
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows import throughput
from bebertlab.bench.rows.throughput import (
    FEEDING,
    FEEDING_CACHE,
    FEEDING_SHARE,
    GPU,
    GPU_EPOCH,
    PREDICTION,
    THROUGHPUT,
    TRAINING,
    measure_feeding,
    measure_gpu,
    measure_throughput,
)
from bebertlab.data.tokens import Tokens, tokenize
from bebertlab.interfaces.task import Split

if TYPE_CHECKING:
    from tests.bench.rows.conftest import FixedTimings


def test_examples_per_second_are_compared(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 8 steps of 4 sentences in 1.6 s are 20 per second; one step of 4 in 1 s is 4; 96 predictions in 0.6 s are 160
    seconds = {"training": 1.6, "reference": 1.0, "prediction": 0.6}
    monkeypatch.setattr(throughput, "interleave", fixed_timings(seconds))
    rows = {result.spec: result for result in measure_throughput(THROUGHPUT, config)}
    assert rows[TRAINING].ratio.median == pytest.approx(5.0)
    assert rows[TRAINING].met is True
    assert rows[TRAINING].note == "20 / 4 examples/s"
    assert rows[PREDICTION].ratio.median == pytest.approx(8.0)


def test_prediction_can_be_measured_alone(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "interleave", fixed_timings({"training": 2.0, "prediction": 3.0}))
    (row,) = measure_throughput([PREDICTION], config)
    assert row.ratio.median == pytest.approx(2.0)
    assert row.met is False


@pytest.fixture
def feeding_rows(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> dict[RowSpec, Row]:
    """Rows of 64 sentences: 0.2 s to make tokens, 0.01 s to read them from the cache, 0.12 s to batch them."""
    monkeypatch.setattr(throughput, "_FEEDING_SENTENCES", 128)
    seconds = iter([0.2, 0.01, 0.12] * config.repeats)

    def timed(call: Callable[[], None], device: str) -> float:
        call()
        return next(seconds)

    monkeypatch.setattr(throughput, "timed", timed)
    monkeypatch.setattr(throughput, "_step_seconds", lambda config: 1.0)
    return {row.spec: row for row in measure_feeding(FEEDING, config)}


def test_feeding_is_compared_with_training(feeding_rows: dict[RowSpec, Row]) -> None:
    row = feeding_rows[FEEDING_SHARE]
    assert row.ratio.median == pytest.approx(0.32 / 16)  # 64 sentences are 16 steps of 4
    assert row.note == "per sentence: 3125 + 1875 us / 250000 us"


def test_reading_cached_tokens_is_compared_with_tokenizing(feeding_rows: dict[RowSpec, Row]) -> None:
    row = feeding_rows[FEEDING_CACHE]
    assert row.ratio.median == pytest.approx(0.05)
    assert row.note == "64 sentences: 10.0 ms / 200.0 ms"


def test_second_start_does_not_tokenize(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "_FEEDING_SENTENCES", 128)
    calls: list[Tokenizer] = []

    def counted(tokenizer: Tokenizer, split: Split, maximum_tokens: int) -> Tokens:
        calls.append(tokenizer)
        return tokenize(tokenizer, split, maximum_tokens)

    monkeypatch.setattr(throughput, "tokenize", counted)
    (row,) = measure_feeding([FEEDING_CACHE], config)
    assert row.spec is FEEDING_CACHE
    assert len(calls) == config.repeats


def test_step_at_the_lengths_of_sst2_is_timed(config: BenchConfig) -> None:
    assert throughput._step_seconds(config) > 0.0


def test_gpu_rows_are_missing_without_a_gpu(config: BenchConfig) -> None:
    results = list(measure_gpu(GPU, config))
    assert [result.spec for result in results] == list(GPU)
    for result in results:
        assert isinstance(result, MissingRow)
        assert result.reason == "needs a GPU: --device cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_epoch_on_a_gpu_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "_GPU_STEPS", 10)
    (row,) = measure_gpu([GPU_EPOCH], BenchConfig(device="cuda", quick=True, batch_size=32))
    assert isinstance(row, Row)
    assert row.ratio.median > 0.0
