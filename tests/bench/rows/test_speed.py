from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.bench.measurement import MissingRow, Row, RowSpec
from bebertlab.bench.models import BIBERT, W1A4, BenchConfig
from bebertlab.bench.rivals import ONNX_FP32, RIVALS
from bebertlab.bench.rows import speed
from bebertlab.bench.rows.speed import BATCH_8, SPEED, TOKENS_128, WORKLOADS, measure_speed

if TYPE_CHECKING:
    from tests.bench.rows.conftest import FixedTimings


def _specs(*names: str) -> list[RowSpec]:
    return [spec for spec in SPEED if spec.name in names]


def test_workloads_are_single_sentences_and_batches_of_mixed_lengths() -> None:
    assert [workload.lengths(0).tolist() for workload in WORKLOADS[:3]] == [[16], [32], [128]]
    assert [(workload.batch_size, len(workload.lengths(0))) for workload in WORKLOADS[3:]] == [(8, 16), (32, 32)]
    assert len(set(BATCH_8.lengths(0).tolist())) > 10
    assert TOKENS_128.figure(0.0123) == "12.3 ms"
    assert BATCH_8.figure(0.5) == "32 sentences/s"


def test_schemes_are_compared_with_fp32_and_the_fastest_int8_rival(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {
        "fp32": 0.3,
        "bibert": 0.01,
        "w1a4": 0.05,
        "dynamic": 0.09,
        "static": 0.08,
        "dynamic, split": 0.07,
        "static, split": 0.1,
    }
    monkeypatch.setattr(speed, "interleave", fixed_timings(seconds))
    names = ("fp32.bibert-128", "int8.bibert-128", "int8.w1a4-128", "rival.dynamic-128")
    rows = {row.spec.name: row for row in measure_speed(_specs(*names), config) if isinstance(row, Row)}
    assert {name: rows[name].ratio.median for name in names} == pytest.approx(
        dict(zip(names, (30.0, 8.0, 1.4, 0.3 / 0.09), strict=True))
    )
    assert rows["fp32.bibert-128"].note == "300 ms / 10 ms"
    assert rows["int8.bibert-128"].note == "80 ms (static) / 10 ms"
    assert rows["int8.w1a4-128"].note == "70 ms (dynamic, split) / 50 ms"


def test_rival_that_is_not_installed_is_a_missing_row(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = evolve(ONNX_FP32, packages=("nothing_like_this",))
    rows = tuple(evolve(row, contender=absent) if row.spec.name == "rival.onnx-fp32-32" else row for row in speed._ROWS)
    monkeypatch.setattr(speed, "_ROWS", rows)
    (row,) = measure_speed(_specs("rival.onnx-fp32-32"), config)
    assert isinstance(row, MissingRow)
    assert row.reason == "not installed: pip install nothing_like_this"


def test_without_an_int8_rival_its_rows_are_missing(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "RIVALS", tuple(rival for rival in RIVALS if not rival.int8))
    (row,) = measure_speed(_specs("int8.bibert-32"), config)
    assert isinstance(row, MissingRow)
    assert row.reason == "no int8 rival is installed"


def test_all_batches_are_predicted(config: BenchConfig) -> None:
    (row,) = measure_speed(_specs("fp32.bibert-batch8"), config)
    assert isinstance(row, Row)
    assert row.ratio.low > 0.0
    assert row.note.count("sentences/s") == 2


def test_kernels_are_named_with_the_reason(config: BenchConfig) -> None:
    names = [f"kernels.{scheme.name}" for scheme in (BIBERT, W1A4)]
    signs, planes = (row for row in measure_speed(_specs(*names), config) if isinstance(row, Row))
    assert "signs: inputs, weights and products of attention are signs" in signs.note
    assert signs.ratio.median >= 12 / 13  # all but the pooler, at least
    assert "1 rows: " in planes.note
    assert 0.0 <= planes.ratio.median <= 1.0
