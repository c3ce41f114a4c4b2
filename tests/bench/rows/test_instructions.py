from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bebertlab.bench.measurement import MissingRow, Row
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows import instructions
from bebertlab.bench.rows.instructions import INSTRUCTIONS, measure_instructions
from bebertlab.errors import SetupError
from bebertlab.kernels.target import kernel_target, kernels_available

if TYPE_CHECKING:
    from tests.bench.rows.conftest import FixedTimings


@pytest.mark.skipif(not kernels_available(), reason="needs llvmlite")
def test_an_instruction_set_that_every_cpu_has_is_measured(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instructions, "interleave", fixed_timings({"fp32": 0.3, "bibert, generic": 0.05}))
    (row,) = measure_instructions(INSTRUCTIONS[2:], config)
    assert isinstance(row, Row)
    assert row.spec.name == "isa.generic-128"
    assert row.ratio.median == pytest.approx(6)
    assert row.note == "300 ms / 50 ms; generic, bits counted by bytes"


def test_a_row_says_what_the_cpu_lacks(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> object:
        raise SetupError(f"this CPU has no {name}: avx2 missing")

    monkeypatch.setattr(instructions, "kernel_target", lacking)
    results = [*measure_instructions(INSTRUCTIONS, config)]
    assert all(isinstance(row, MissingRow) for row in results)
    assert [row.reason for row in results if isinstance(row, MissingRow)] == [
        f"this CPU has no {name}: avx2 missing" for name in ("avx2", "avx512", "generic")
    ]


@pytest.mark.skipif(not kernels_available(), reason="needs llvmlite")
def test_the_goal_is_that_of_cpus_without_avx512() -> None:
    assert kernel_target("generic").native_popcount is False
    assert [spec.goal for spec in INSTRUCTIONS] == [7.0, None, None]
