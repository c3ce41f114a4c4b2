from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bebertlab.bench.row import Missing, Row
from bebertlab.bench.rows import memory as rows
from bebertlab.bench.rows.memory import GOALS, memory
from bebertlab.bench.setting import Setting

MEBIBYTE = 2**20
PEAKS = {"yardstick": 1000, "w1a8": 1300, "w1a4": 50}


def _told(call: Callable[..., int], arguments: Sequence[tuple[str, Setting]], *, at_once: int) -> list[int]:
    return [PEAKS[name] * MEBIBYTE for name, _ in arguments]


def test_peaks_are_compared(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "in_processes", _told)
    row, missing = memory(GOALS[:2], setting)
    assert isinstance(row, Row)
    assert row.ratio.median == 1.3
    assert row.met is True
    assert row.note == "1300 MiB / 1000 MiB"
    assert isinstance(missing, Missing)
    assert missing.reason == "a training of shape 'tiny' is too small to tell"
