from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch

from bebertlab.bench import suite
from bebertlab.bench.clock import Ratio
from bebertlab.bench.row import Finding, Goal, Missing, Row
from bebertlab.bench.setting import Setting
from bebertlab.bench.suite import FAMILIES, Family, choose, measure
from bebertlab.errors import UserError

ONE, TWO = (Goal(name=f"family.{name}", what=name, better="lower", goal=1.0) for name in ("one", "two"))


def test_names_are_unique_and_have_a_family() -> None:
    names = [target.name for family in FAMILIES for target in family.targets]
    assert len(names) == len(set(names))
    assert all(name.count(".") == 1 for name in names)


def test_quick_leaves_rows_out_unless_they_are_asked_for() -> None:
    every, quick = choose([], quick=False), choose([], quick=True)
    assert set(quick) < set(every)
    # what takes long, in processes of its own or where bf16 has no instructions
    left_out = {"step64.w1a8", "memory.w1a8", "bf16.repeat", "trials.side-by-side"}
    assert not left_out & {target.name for target in quick}
    assert [target.name for target in choose(["step64.w1a8"], quick=True)] == ["step64.w1a8"]


def test_a_row_or_a_family_can_be_named() -> None:
    chosen = [target.name for target in choose(["distillation", "step.bit"], quick=False)]
    assert chosen == ["step.bit", "distillation.prediction", "distillation.two-stage"]


def test_an_unknown_row_is_told_with_a_guess() -> None:
    with pytest.raises(UserError, match=r"unknown row 'step\.w1a9'; did you mean 'step\.w1a"):
        choose(["step.w1a9"], quick=False)


def _family(monkeypatch: pytest.MonkeyPatch, fault: Exception | None) -> None:
    def measured(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
        yield Row(target=wanted[0], ratio=Ratio.of([float(torch.get_num_threads())]))
        if fault is not None:
            raise fault
        yield Row(target=wanted[1], ratio=Ratio.of([2.0]))

    monkeypatch.setattr(suite, "FAMILIES", (Family(targets=(ONE, TWO), measure=measured),))


def test_rows_are_measured_with_the_threads_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    _family(monkeypatch, None)
    told: list[str] = []
    before = torch.get_num_threads()
    found = list(measure((ONE, TWO), Setting(threads=before + 1), told.append))
    assert [type(one) for one in found] == [Row, Row]
    assert isinstance(found[0], Row)
    assert found[0].ratio.median == before + 1
    assert torch.get_num_threads() == before
    assert told == ["family.one, family.two"]


@pytest.mark.parametrize("fault", [UserError("no such thing"), torch.OutOfMemoryError("no such thing")])
def test_what_cannot_be_measured_is_missing_with_its_reason(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    _family(monkeypatch, fault)
    _, missing = measure((ONE, TWO), Setting())
    assert isinstance(missing, Missing)
    assert missing.target == TWO
    assert "no such thing" in missing.reason
