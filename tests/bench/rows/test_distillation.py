from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from bebertlab.bench.row import Missing, Row
from bebertlab.bench.rows import distillation as rows
from bebertlab.bench.rows.distillation import GOALS, PREDICTION, TWO_STAGE, distillation
from bebertlab.bench.setting import Setting

if TYPE_CHECKING:
    from tests.bench.rows.conftest import Told


def test_all_phases_count_as_long(setting: Setting, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "alternate", told({"none": 1.0, "prediction": 1.1, "inner": 2.0}))
    found = {one.target: one for one in distillation(GOALS, setting) if isinstance(one, Row)}
    assert found[PREDICTION].ratio.median == pytest.approx(1.1)
    assert found[TWO_STAGE].ratio.median == pytest.approx(1.55)
    assert found[TWO_STAGE].note == "by phase: inner 2.00 + prediction 1.10"
    assert found[TWO_STAGE].met is True


def test_a_distillation_that_no_plugin_has_is_missing(setting: Setting) -> None:
    (missing,) = distillation([evolve(PREDICTION, name="distillation.new")], setting)
    assert isinstance(missing, Missing)
    assert missing.reason == "no plugin has the distillation 'new'"
