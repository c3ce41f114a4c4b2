from __future__ import annotations

import pytest

from bebertlab.bench.measurement import Row
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows.files import FILES, measure_files


def test_files_are_measured_next_to_the_bits_that_are_counted(config: BenchConfig) -> None:
    rows = {row.spec.member: row for row in measure_files(FILES, config) if isinstance(row, Row)}
    assert set(rows) == {"bibert", "bit", "w1a4", "w1a8", "w2a8", "members"}
    assert rows["members"].ratio.median == pytest.approx(2 * rows["w1a4"].ratio.median, rel=0.2)
    assert rows["w2a8"].ratio.median > rows["bibert"].ratio.median
    assert "counted from bits: 0.09 MiB" in rows["bibert"].note
