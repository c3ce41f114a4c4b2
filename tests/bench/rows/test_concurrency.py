from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

import pytest
from attrs import evolve

from bebertlab.bench.measurement import MissingRow, Row
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows import concurrency
from bebertlab.bench.rows.concurrency import CONCURRENCY, MEMBERS, TRIALS, measure_concurrency
from bebertlab.processors import Processors

if TYPE_CHECKING:
    from tests.bench.rows.conftest import FixedTimings


class RecordingWorker:
    """A worker without a process."""

    created: ClassVar[list[tuple[str, BenchConfig]]] = []
    threads_started: ClassVar[list[int]] = []

    def __init__(self, scheme: str, config: BenchConfig, steps: int) -> None:
        self._config = config
        self.created.append((scheme, config))

    def start(self, steps: int) -> None:
        self.threads_started.append(self._config.threads)

    def wait(self) -> float:
        return 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@pytest.fixture(autouse=True)
def _replace_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "TrainingWorker", RecordingWorker)
    monkeypatch.setattr(concurrency, "processors", lambda: Processors(cores=2, quota=None))
    monkeypatch.setattr(RecordingWorker, "created", [])
    monkeypatch.setattr(RecordingWorker, "threads_started", [])


def test_two_trials_are_compared_with_one_at_equal_threads(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "interleave", fixed_timings({"two workers": 1.0, "one worker": 0.75}))
    (row,) = measure_concurrency([TRIALS], evolve(config, threads=8))
    assert isinstance(row, Row)
    assert row.ratio.median == 1.5  # twice the steps in a third more time
    assert [(config.threads, config.seed) for _, config in RecordingWorker.created] == [(1, 0), (1, 1), (2, 0)]
    assert RecordingWorker.threads_started == [1, 1, 2]  # a block of both, then a block of the other
    assert "equal threads" in row.spec.description
    assert row.note == "2 x 2 steps, 1 thread each: 1.00 s; 2 steps, 2 threads: 0.75 s"


def test_members_at_once_are_compared_with_members_in_turn(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "interleave", fixed_timings({"at once": 1.0, "in turn": 2.5}))
    (row,) = measure_concurrency([MEMBERS], evolve(config, device="cuda"))
    assert isinstance(row, Row)
    assert row.ratio.median == 2.5
    assert {scheme for scheme, _ in RecordingWorker.created} == {"w1a4"}
    assert len(RecordingWorker.threads_started) == 8


def test_rows_are_missing_on_unsuitable_devices(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "processors", lambda: Processors(cores=1, quota=None))
    reasons = [result.reason for result in measure_concurrency(CONCURRENCY, config) if isinstance(result, MissingRow)]
    assert reasons == ["needs at least two cores", "needs a GPU: --device cuda"]
    (missing,) = measure_concurrency([TRIALS], evolve(config, device="cuda"))
    assert isinstance(missing, MissingRow)
    assert missing.reason == "compares threads of a CPU: --device cpu"
