from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bebertlab.bench.row import Missing, Row
from bebertlab.bench.rows import steps
from bebertlab.bench.rows.steps import LONG, SHORT, long_steps, short_steps
from bebertlab.bench.scheme import SCHEMES, Scheme
from bebertlab.bench.setting import Setting

if TYPE_CHECKING:
    from tests.bench.rows.conftest import Told


def test_every_scheme_has_a_row_by_the_full_precision_step(
    setting: Setting, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"yardstick": 0.2, **{f"step.{one.name}": 0.25 for one in SCHEMES}, "step.own": 0.1}
    monkeypatch.setattr(steps, "alternate", told(seconds))
    rows = {one.target.name: one for one in short_steps(SHORT, setting) if isinstance(one, Row)}
    assert rows.keys() >= {"step.w1a8", "step.w1a4", "step.own"}
    assert rows["step.w1a8"].ratio.median == pytest.approx(1.25)
    assert rows["step.w1a8"].met is True
    assert rows["step.w1a8"].note == "250 ms / 200 ms"
    assert rows["step.own"].ratio.median == 0.5
    assert rows["step.own"].met is None


def test_only_what_is_wanted_is_measured(setting: Setting, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "alternate", told({"yardstick": 0.2, "step64.own": 0.1}))
    (row,) = long_steps([target for target in LONG if target.member == "own"], setting)
    assert row.target.name == "step64.own"
    assert "64 tokens" in row.target.what


def test_without_the_plugin_nothing_is_measured(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Scheme(name="w1a8", what="W1A8 split", options={"kind": "no-such-scheme"})
    monkeypatch.setattr("bebertlab.bench.scheme.SCHEMES", (lost,))
    monkeypatch.setattr(steps, "alternate", None)
    (missing,) = short_steps(SHORT[:1], setting)
    assert isinstance(missing, Missing)
    assert "no-such-scheme" in missing.reason
