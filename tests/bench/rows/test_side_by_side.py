from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

import pytest
from attrs import evolve

from bebertlab.bench.row import Missing, Row
from bebertlab.bench.rows import side_by_side as rows
from bebertlab.bench.rows.side_by_side import GOALS, MEMBERS, TRIALS, side_by_side
from bebertlab.bench.setting import Setting
from bebertlab.processors import Processors

if TYPE_CHECKING:
    from tests.bench.rows.conftest import Told


class Scripted:
    """A worker without a process."""

    made: ClassVar[list[tuple[str, Setting]]] = []
    told: ClassVar[list[int]] = []

    def __init__(self, name: str, setting: Setting, steps: int) -> None:
        self.made.append((name, setting))

    def start(self, steps: int) -> None:
        self.told.append(steps)

    def finish(self) -> float:
        return 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "Worker", Scripted)
    monkeypatch.setattr(rows, "processors", lambda: Processors(cores=2, quota=None))
    monkeypatch.setattr(Scripted, "made", [])
    monkeypatch.setattr(Scripted, "told", [])


def test_two_trials_are_compared_with_one(setting: Setting, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "alternate", told({"two": 1.0, "one": 0.75}))
    (row,) = side_by_side([TRIALS], setting)
    assert isinstance(row, Row)
    assert row.ratio.median == 1.5  # twice the work in a third more time
    assert [(one.threads, one.seed) for _, one in Scripted.made] == [(1, 0), (1, 1), (2, 0)]
    assert len(Scripted.told) == 3  # both, then the one


def test_members_on_a_gpu_are_compared_with_one_after_the_other(
    setting: Setting, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "alternate", told({"together": 1.0, "in turn": 2.5}))
    (row,) = side_by_side([MEMBERS], evolve(setting, device="cuda"))
    assert isinstance(row, Row)
    assert row.ratio.median == 2.5
    assert {name for name, _ in Scripted.made} == {"w1a4"}
    assert len(Scripted.told) == 8


def test_where_a_row_makes_no_sense(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "processors", lambda: Processors(cores=1, quota=None))
    reasons = [one.reason for one in side_by_side(GOALS, setting) if isinstance(one, Missing)]
    assert reasons == ["this machine has one core", "needs a GPU: --device cuda"]
    (missing,) = side_by_side([TRIALS], evolve(setting, device="cuda"))
    assert isinstance(missing, Missing)
    assert "this is a GPU" in missing.reason
