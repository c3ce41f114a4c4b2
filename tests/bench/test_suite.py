from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch

from bebertlab.bench import suite
from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.suite import GROUPS, RowGroup, choose, measure
from bebertlab.errors import UserError

FIRST, SECOND = (
    RowSpec(name=f"group.{name}", description=name, better="lower", goal=1.0) for name in ("first", "second")
)
SCHEMES = ("w1a8", "w1a4", "bibert", "bit")
NAMES = (
    ("step", (*SCHEMES, "own")),
    ("step64", (*SCHEMES, "own")),
    ("throughput", ("w1a8", "prediction")),
    ("distillation", ("prediction", "two-stage")),
    ("memory", SCHEMES),
    ("allocations", SCHEMES),
    ("optimizer", ("w1a8",)),
    ("bf16", ("speed", "repeat", "score")),
    ("feeding", ("share", "cache")),
    ("trials", ("side-by-side",)),
    ("gpu", ("members", "epoch", "step")),
    ("compile", ("speed",)),
)


def test_rows_are_measured_in_this_order() -> None:
    assert [spec.name for group in GROUPS for spec in group.specs] == [
        f"{group}.{member}" for group, members in NAMES for member in members
    ]


def test_quick_skips_slow_rows_unless_they_are_named() -> None:
    every, quick = choose([], quick=False), choose([], quick=True)
    assert set(quick) < set(every)
    assert not {"step64.w1a8", "memory.w1a8", "bf16.repeat", "trials.side-by-side"} & {spec.name for spec in quick}
    assert [spec.name for spec in choose(["step64.w1a8"], quick=True)] == ["step64.w1a8"]


def test_rows_and_groups_can_be_named() -> None:
    names = [spec.name for spec in choose(["distillation", "step.bit"], quick=False)]
    assert names == ["step.bit", "distillation.prediction", "distillation.two-stage"]


def test_unknown_row_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(UserError, match=r"unknown row 'step\.w1a9'; did you mean 'step\.w1a"):
        choose(["step.w1a9"], quick=False)


def _replace_groups(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    def measured(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
        yield Row(spec=specs[0], ratio=Ratio.of([float(torch.get_num_threads())]))
        if error is not None:
            raise error
        yield Row(spec=specs[1], ratio=Ratio.of([2.0]))

    monkeypatch.setattr(suite, "GROUPS", (RowGroup(specs=(FIRST, SECOND), measure=measured),))


def test_rows_are_measured_with_the_configured_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    _replace_groups(monkeypatch, None)
    notified: list[str] = []
    threads = torch.get_num_threads()
    first, second = measure((FIRST, SECOND), BenchConfig(threads=threads + 1), notified.append)
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert first.ratio.median == threads + 1
    assert torch.get_num_threads() == threads
    assert notified == ["group.first, group.second"]


@pytest.mark.parametrize("error", [UserError("unavailable"), torch.OutOfMemoryError("unavailable")])
def test_rows_not_measured_are_missing_with_the_reason(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    _replace_groups(monkeypatch, error)
    _, missing = measure((FIRST, SECOND), BenchConfig())
    assert isinstance(missing, MissingRow)
    assert missing.spec == SECOND
    assert "unavailable" in missing.reason
