from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.bench import memory
from bebertlab.bench.memory import Meter, ProcessMeter
from bebertlab.bench.setting import Setting
from bebertlab.errors import SetupError

MEBIBYTE = 2**20


class Script(Meter):
    """Says what it was told to."""

    def __init__(self) -> None:
        self.resets = 0

    def now(self) -> int:
        return 100

    def reset(self) -> None:
        self.resets += 1

    def peak(self) -> int:
        return 350


@pytest.mark.parametrize("name", ["yardstick", "w1a8"])
def test_the_peak_is_beyond_what_was_there_before(name: str, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    monkeypatch.setattr(memory, "ProcessMeter", lambda: script)
    assert memory.training_peak_bytes(name, setting) == 250
    assert script.resets == 1  # building the model is forgotten


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux")
def test_the_memory_of_this_process_grows_with_what_it_holds() -> None:
    meter = ProcessMeter()
    meter.reset()
    before = meter.now()
    block = bytearray(b"x") * (64 * MEBIBYTE)
    assert meter.now() - before > 60 * MEBIBYTE
    assert meter.peak() - before > 60 * MEBIBYTE
    del block


def test_without_linux_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    with pytest.raises(SetupError, match="memory of a process is read from"):
        ProcessMeter()
