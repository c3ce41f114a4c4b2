from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.bench import answers
from bebertlab.bench.answers import first_answer
from bebertlab.bench.memory import MemoryMeter
from bebertlab.bench.models import BIBERT, BenchConfig
from bebertlab.bench.packed import pack_scheme
from bebertlab.bench.process import in_processes

MEBIBYTE = 2**20


class _Meter(MemoryMeter):
    def current_bytes(self) -> int:
        return 100

    def reset(self) -> None:
        return

    def peak_bytes(self) -> int:
        return 350


def test_memory_is_counted_beyond_the_use_before(
    config: BenchConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "ProcessMeter", _Meter)
    monkeypatch.setenv("XDG_CACHE_HOME", "unchanged after the test")
    pack_scheme(BIBERT, config, tmp_path / "packed")
    answer = first_answer(tmp_path / "packed", config, tmp_path / "cache")
    assert answer.peak_bytes == 250
    assert answer.seconds > 0.0


@pytest.mark.slow
def test_process_has_its_own_cache_of_kernels(config: BenchConfig, tmp_path: Path) -> None:
    pack_scheme(BIBERT, config, tmp_path / "packed")
    (answer,) = in_processes(first_answer, [(tmp_path / "packed", config, tmp_path / "cache")], at_once=1)
    assert 0.0 < answer.seconds < 60.0
    assert 0 < answer.peak_bytes < 500 * MEBIBYTE
