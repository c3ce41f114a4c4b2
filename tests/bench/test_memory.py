from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bebertlab.bench import memory
from bebertlab.bench.memory import Allocation, MemoryMeter, ProcessMeter, measure_allocation
from bebertlab.bench.models import BenchConfig
from bebertlab.errors import SetupError

MEBIBYTE = 2**20
SIZE = 4 * 1000  # bytes of torch.ones(1000)


class FixedMeter(MemoryMeter):
    """Returns fixed values and counts resets."""

    def __init__(self) -> None:
        self.resets = 0

    def current_bytes(self) -> int:
        return 100

    def reset(self) -> None:
        self.resets += 1

    def peak_bytes(self) -> int:
        return 350


@pytest.mark.parametrize("name", ["reference", "w1a8"])
def test_peak_of_training_excludes_memory_used_before(
    name: str, config: BenchConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = FixedMeter()
    monkeypatch.setattr(memory, "ProcessMeter", lambda: meter)
    assert memory.training_peak_bytes(name, config) == 250
    assert meter.resets == 1  # after the model was built


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux")
def test_process_meter_sees_allocated_memory() -> None:
    meter = ProcessMeter()
    meter.reset()
    before = meter.current_bytes()
    block = bytearray(b"x") * (64 * MEBIBYTE)
    assert meter.current_bytes() - before > 60 * MEBIBYTE
    assert meter.peak_bytes() - before > 60 * MEBIBYTE
    del block


def test_process_meter_needs_linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    with pytest.raises(SetupError, match="memory of a process is read from"):
        ProcessMeter()


def test_freed_tensors_count_towards_the_total_only() -> None:
    kept = []

    def work() -> None:
        for _ in range(3):
            torch.ones(1000)
        kept.append((torch.ones(1000), torch.ones(1000)))

    assert measure_allocation(work, smallest_bytes=SIZE) == Allocation(total_bytes=5 * SIZE, peak_bytes=2 * SIZE)


def test_small_tensors_are_not_counted() -> None:
    assert measure_allocation(lambda: torch.ones(999), smallest_bytes=SIZE).total_bytes == 0


def test_peak_is_the_most_allocated_at_once() -> None:
    assert Allocation.of([5, -5, 5, 3]) == Allocation(total_bytes=13, peak_bytes=8)
