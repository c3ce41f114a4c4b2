from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from bebertlab.train.memory import keep_freed_memory

FAULTS = """
import resource, torch
from bebertlab.train.memory import keep_freed_memory
keep_freed_memory()
def step():
    x = torch.ones(5 * 2**20)
    y = x + 1
    return (y * 2).sum()
for _ in range(8):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux" or not keep_freed_memory(), reason="the C library is not glibc")
def test_freed_memory_comes_without_page_faults() -> None:
    run = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True)
    assert int(run.stdout) < 15_000  # pages of 4 KiB: ten steps have 20 tensors of 5120 pages


def test_another_c_library_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: object) -> object:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", none)
    keep_freed_memory.cache_clear()
    assert keep_freed_memory() is False
    keep_freed_memory.cache_clear()
