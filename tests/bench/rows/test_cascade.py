from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bebertlab.bench.measurement import Row
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows import cascade
from bebertlab.bench.rows.cascade import CASCADE_ROWS, measure_cascade

if TYPE_CHECKING:
    from tests.bench.rows.conftest import FixedTimings


def test_a_fifth_of_the_sentences_reaches_the_second_member(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cascade, "interleave", fixed_timings({"cascade": 0.2, "one member": 0.16}))
    (row,) = measure_cascade(CASCADE_ROWS, config)
    assert isinstance(row, Row)
    assert (row.spec.name, row.spec.goal) == ("cascade.0.2", 1.4)
    assert row.ratio.median == pytest.approx(1.25)
    assert row.note == "800 / 1000 sentences/s; 20.0% reach the second"
