from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from bebertlab.bench.measurement import MissingRow, Row
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows import parallel
from bebertlab.bench.rows.parallel import BATCHES, MEMBERS, PARALLEL, measure_parallel
from bebertlab.processors import Processors

if TYPE_CHECKING:
    from tests.bench.rows.conftest import FixedTimings


def test_two_threads_are_compared_with_one(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "processors", lambda: Processors(cores=2, quota=None))
    monkeypatch.setattr(parallel, "interleave", fixed_timings({"one thread": 0.1, "two threads": 0.08}))
    threads = torch.get_num_threads()
    rows = {row.spec: row for row in measure_parallel(PARALLEL, config) if isinstance(row, Row)}
    assert rows[MEMBERS].ratio.median == pytest.approx(0.8)
    assert rows[MEMBERS].note == "80 / 100 ms"
    assert rows[BATCHES].ratio.median == pytest.approx(1.25)
    assert rows[BATCHES].note == "800 / 640 sentences/s"
    assert torch.get_num_threads() == threads


def test_rows_are_missing_on_a_single_core(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "processors", lambda: Processors(cores=1, quota=None))
    results = [*measure_parallel(PARALLEL, config)]
    assert [result.reason for result in results if isinstance(result, MissingRow)] == ["needs at least two cores"] * 2
