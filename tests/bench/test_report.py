from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from bebertlab.bench import report
from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec
from bebertlab.bench.memory import ExtraTensors
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.profile import StepPart, StepProfile
from bebertlab.bench.report import machine_info, profile_report, rows_report
from bebertlab.kernels.target import KernelTarget
from bebertlab.processors import processors

WITH_GOAL = RowSpec(name="a.goal", description="with a goal", better="lower", goal=1.3)
INFORMATION = RowSpec(name="a.information", description="for information", better="higher")
MISSING = RowSpec(name="a.missing", description="not here", better="higher", goal=2.0)


def test_rows_without_goal_and_missing_rows_are_separate(config: BenchConfig) -> None:
    results: list[RowResult] = [
        Row(spec=WITH_GOAL, ratio=Ratio.of([1.2, 1.5, 1.1]), note="6 ms / 5 ms"),
        Row(spec=INFORMATION, ratio=Ratio.of([3.0])),
        MissingRow(spec=MISSING, reason="needs a GPU"),
    ]
    data = json.loads(json.dumps(rows_report(results, machine_info(config))))
    assert data["rows"] == [
        {
            "row": "a.goal",
            "what": "with a goal",
            "ratio": 1.2,
            "low": 1.1,
            "high": 1.5,
            "goal": 1.3,
            "better": "lower",
            "met": True,
            "note": "6 ms / 5 ms",
        }
    ]
    assert [row["row"] for row in data["information"]] == ["a.information"]
    assert data["missing"] == [{"row": "a.missing", "what": "not here", "reason": "needs a GPU"}]
    assert data["machine"].keys() >= {"processor", "cores", "threads", "instructions", "torch", "device", "gpu"}


def test_profile_has_milliseconds_and_shares(config: BenchConfig) -> None:
    full = StepProfile(name="full", milliseconds=10.0, shares={(StepPart.PRODUCTS, True): 1.0}, extra_tensors={})
    shares = {(StepPart.PRODUCTS, False): 0.75, (StepPart.WEIGHTS, False): 0.25}
    extra_tensors = {"query": ExtraTensors(total=2.0, peak=1.0)}
    quantized = StepProfile(name="quantized", milliseconds=12.0, shares=shares, extra_tensors=extra_tensors)
    _, step = json.loads(json.dumps(profile_report([full, quantized], machine_info(config))))["steps"]
    assert step["ratio"] == 1.2
    assert {(part["part"], part["milliseconds"]) for part in step["parts"]} == {
        ("matrix products", 9.0),
        ("weight quantization", 3.0),
    }
    assert step["extra_tensors"] == {"query": {"total": 2.0, "peak": 1.0}}


def test_machine_info_is_read_from_linux(config: BenchConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(
        "model name\t: Fast CPU\nflags\t\t: fpu avx2 avx512_bf16 amx_bf16 avx512_vpopcntdq\n\n"
        "model name\t: Other\nflags\t\t: fpu\n"
    )
    (tmp_path / "meminfo").write_text("MemTotal:       8388608 kB\n")
    monkeypatch.setattr(report, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(report, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(report, "exact_products", lambda: True)
    machine = machine_info(evolve(config, threads=3))
    assert machine.processor == "Fast CPU"
    assert machine.instructions == ("avx2", "avx512_vpopcntdq", "avx512_bf16", "amx_bf16")
    assert machine.int8_gemm is True
    assert machine.memory_gibibytes == 8.0
    assert (machine.threads, machine.cores, machine.device, machine.gpu) == (3, processors().usable, "cpu", None)


def test_machine_info_works_without_files_of_linux(
    config: BenchConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_CPUINFO", tmp_path / "none")
    monkeypatch.setattr(report, "_MEMINFO", tmp_path / "none")
    machine = machine_info(config)
    assert machine.processor
    assert machine.instructions == ()
    assert machine.memory_gibibytes is None


def test_machine_info_says_how_bits_are_counted(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "kernels_available", lambda: False)
    assert machine_info(config).kernels == "by torch, since llvmlite is not installed"
    monkeypatch.setattr(report, "kernels_available", lambda: True)
    monkeypatch.setattr(report, "kernel_target", lambda: KernelTarget("haswell", "", False, 4))
    assert machine_info(config).kernels == "haswell, bits counted by bytes"
