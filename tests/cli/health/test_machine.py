from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bebertlab.cli.health import machine
from bebertlab.cli.health.finding import Finding, Mark


def test_instructions_for_matrix_products_are_listed(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu sse avx2 avx512f avx512_bf16\n\nflags\t: amx_bf16\n")
    _, instructions = machine.processor(cpuinfo)
    assert instructions.found == "avx2, avx512f, avx512_bf16"
    _, elsewhere = machine.processor(tmp_path / "absent")
    assert elsewhere.found == os.uname().machine


def test_more_threads_than_cores_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert next(iter(machine.processor(tmp_path))).mark == Mark.OK
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    crowded = next(iter(machine.processor(tmp_path)))
    assert crowded.mark == Mark.WARN
    assert crowded.found.startswith("2 cores, torch uses 8 threads")
    assert crowded.hint == "more threads than cores; set OMP_NUM_THREADS=2"


def test_a_folder_of_kernels_that_others_may_write_to_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (kept,) = machine.kernels()
    folder = tmp_path / "bebertlab" / "kernels"
    assert kept.mark == Mark.OK
    assert kept.found.endswith(f"; kept in {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    (shared,) = machine.kernels()
    assert (shared.mark, shared.found) == (Mark.WARN, f"other users may write to {folder}")
    assert "chmod go-w" in shared.hint


def test_kernels_are_not_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "kernels_available", lambda: False)
    (finding,) = machine.kernels()
    assert finding.mark == Mark.OK
    assert "by torch" in finding.found


def test_gpus_are_listed_and_not_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [finding.mark for finding in machine.graphics()] == [Mark.OK]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    properties = SimpleNamespace(name="Fast One", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: properties)
    assert [(finding.what, finding.found) for finding in machine.graphics()] == [
        ("gpu 0", "Fast One, 80.0 GiB; --device cuda:0 uses it"),
        ("gpu 1", "Fast One, 80.0 GiB; --device cuda:1 uses it"),
    ]


@pytest.mark.parametrize(
    ("available", "limit", "used", "actual", "mark"),
    [
        (8, None, 0, "8.0 GiB free", Mark.OK),
        (8, "max", 5, "8.0 GiB free", Mark.OK),
        (8, 6, 1, "5.0 GiB free", Mark.OK),
        (8, 6, 3, "3.0 GiB free", Mark.WARN),
        (2, None, 0, "2.0 GiB free", Mark.WARN),
    ],
)
def test_memory_respects_the_limit_of_a_container(
    tmp_path: Path, available: int, limit: int | str | None, used: int, actual: str, mark: Mark
) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable:   {available * 2**20} kB\n")
    groups = tmp_path / "own"
    groups.write_text("0::/\n")
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit * 2**30 if isinstance(limit, int) else limit}\n")
        (tmp_path / "memory.current").write_text(f"{used * 2**30}\n")
    [finding] = machine.memory(tmp_path / "meminfo", groups, tmp_path)
    assert (finding.found, finding.mark) == (actual, mark)
    assert ("4.0 GiB" in finding.hint) is (mark == Mark.WARN)


def test_memory_of_an_unknown_system_is_not_an_error(tmp_path: Path) -> None:
    assert list(machine.memory(tmp_path / "absent")) == [Finding("memory", Mark.OK, "unknown")]


def test_free_space_is_that_of_the_parent_of_a_missing_work_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "to" / "come"
    free = {tmp_path: 3 * 2**30}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free.get(path, 10 * 2**30)))
    first, _ = machine.disk(work)
    assert first == Finding("work folder", Mark.OK, f"{work}: 3.0 GiB free")
    assert not work.exists()
    free[tmp_path] = 2**30
    first, _ = machine.disk(work)
    assert first.mark == Mark.WARN
    assert "store gc" in first.hint


def test_a_file_instead_of_the_work_folder_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("")
    first, second = machine.disk(tmp_path / "work")
    assert first.mark == Mark.FAIL
    assert "cannot be written" in first.found
    assert second.what == "temporary folder"
