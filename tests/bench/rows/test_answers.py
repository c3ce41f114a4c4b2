from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve

from bebertlab.bench.answers import FirstAnswer
from bebertlab.bench.measurement import Row
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows import answers
from bebertlab.bench.rows.answers import CACHED, COLD, MEMORY, measure_answers

MEBIBYTE = 2**20


@pytest.fixture
def caches(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replaces processes: a new cache takes 4 s and 300 MiB, one that was used before 0.5 s and 50 MiB."""
    used: list[Path] = []

    def in_processes(
        call: Callable[..., FirstAnswer], arguments: Sequence[tuple[Path, BenchConfig, Path]], *, at_once: int
    ) -> list[FirstAnswer]:
        assert at_once == 1
        results = []
        for folder, _, cache in arguments:
            assert (folder / "model.safetensors").is_file()
            known = cache in used
            used.append(cache)
            results.append(FirstAnswer(seconds=0.5 if known else 4.0, peak_bytes=(50 if known else 300) * MEBIBYTE))
        return results

    monkeypatch.setattr(answers, "in_processes", in_processes)
    return used


def test_first_process_of_a_cache_is_cold_and_the_next_is_measured_for_memory(
    config: BenchConfig, caches: list[Path]
) -> None:
    rows = {row.spec: row for row in measure_answers([MEMORY[0], COLD, CACHED], config) if isinstance(row, Row)}
    assert rows[COLD].ratio.median == 4.0
    assert rows[CACHED].ratio.median == 0.5
    assert MEMORY[0].name == "memory.bibert"
    assert 49.0 < rows[MEMORY[0]].ratio.median < 50.0
    assert rows[MEMORY[0]].note.startswith("50.0 MiB, ")
    assert len(caches) == 2


def test_starts_are_repeated_with_new_caches(config: BenchConfig, caches: list[Path]) -> None:
    (row,) = measure_answers([COLD], evolve(config, quick=False))
    assert isinstance(row, Row)
    assert row.note == "processes: 3"
    assert len(set(caches)) == 3
    assert len(caches) == 6


def test_memory_is_measured_for_each_scheme(config: BenchConfig, caches: list[Path]) -> None:
    (row,) = measure_answers([MEMORY[-1]], config)
    assert row.spec.name == "memory.w2a8"
