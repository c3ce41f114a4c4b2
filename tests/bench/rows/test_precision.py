from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bebertlab.bench.row import Missing, Row
from bebertlab.bench.rows import precision as rows
from bebertlab.bench.rows.precision import REPEAT, SPEED, precision
from bebertlab.bench.setting import Setting

if TYPE_CHECKING:
    from tests.bench.rows.conftest import Told


def test_speed_is_not_measured_where_the_processor_has_no_bf16(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "multiplies_in_bf16", lambda device: False)
    (missing,) = precision([SPEED], setting)
    assert isinstance(missing, Missing)
    assert "no bf16 instructions" in missing.reason


def test_the_faster_of_the_two_is_bf16(setting: Setting, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "multiplies_in_bf16", lambda device: True)
    monkeypatch.setattr(rows, "alternate", told({"fp32": 0.3, "bf16": 0.2}))
    (row,) = precision([SPEED], setting)
    assert isinstance(row, Row)
    assert row.ratio.median == pytest.approx(1.5)
    assert row.note == "300 ms / 200 ms"


def test_the_same_training_twice_gives_the_same_weights(setting: Setting) -> None:
    (row,) = precision([REPEAT], setting)
    assert isinstance(row, Row)
    assert row.ratio.median == 0.0
    assert row.met is True
