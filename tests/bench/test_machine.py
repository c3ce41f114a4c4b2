from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from bebertlab.bench import machine as place
from bebertlab.bench.machine import machine
from bebertlab.bench.setting import Setting
from bebertlab.processors import processors


def test_it_says_what_ratios_depend_on(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(
        "model name\t: Fast One\nflags\t\t: fpu avx2 avx512_bf16 amx_bf16\n\nmodel name\t: Other\nflags\t\t: fpu\n"
    )
    (tmp_path / "meminfo").write_text("MemTotal:       8388608 kB\n")
    monkeypatch.setattr(place, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(place, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(place, "exact_products", lambda: True)
    found = machine(evolve(setting, threads=3))
    assert found.processor == "Fast One"
    assert found.instructions == ("avx2", "avx512_bf16", "amx_bf16")
    assert found.byte_products is True
    assert found.memory_gibibytes == 8.0
    assert (found.threads, found.cores, found.device, found.gpu) == (3, processors().usable, "cpu", None)


def test_what_is_not_known_is_left_open(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_CPUINFO", tmp_path / "none")
    monkeypatch.setattr(place, "_MEMINFO", tmp_path / "none")
    found = machine(setting)
    assert found.processor
    assert found.instructions == ()
    assert found.memory_gibibytes is None
