from __future__ import annotations

import pytest

from bebertlab.bench.measurement import Row
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows.files import FILES, measure_files


def test_files_are_measured_next_to_the_bits_that_are_counted(config: BenchConfig) -> None:
    measured = {row.spec.name: row for row in measure_files(FILES, config) if isinstance(row, Row)}
    rows = {name.partition(".")[2]: row for name, row in measured.items() if name.startswith("file.")}
    assert set(rows) == {"bibert", "bit", "w1a4", "w1a8", "w2a8", "members"}
    assert rows["members"].ratio.median == pytest.approx(2 * rows["w1a4"].ratio.median, rel=0.2)
    assert rows["w2a8"].ratio.median > rows["bibert"].ratio.median
    assert "counted from bits: 0.09 MiB" in rows["bibert"].note
    costs = {row.spec.member: row for row in measured.values() if row.spec.group == "cost"}
    assert costs.keys() == rows.keys()
    for name, row in costs.items():
        assert row.note.endswith(f"{row.ratio.median:.1f}% in the file")
        assert (row.spec.goal, row.note) == (2.0, rows[name].note)
