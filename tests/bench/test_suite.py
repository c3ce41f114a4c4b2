from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch

from bebertlab.bench.groups import TRAINING
from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.suite import RowGroup, choose, measure
from bebertlab.errors import UserError

FIRST, SECOND = (
    RowSpec(name=f"group.{name}", description=name, better="lower", goal=1.0) for name in ("first", "second")
)


def test_quick_skips_slow_rows_unless_they_are_named() -> None:
    every, quick = choose(TRAINING, [], quick=False), choose(TRAINING, [], quick=True)
    assert set(quick) < set(every)
    assert not {"step64.w1a8", "memory.w1a8", "bf16.repeat", "trials.side-by-side"} & {spec.name for spec in quick}
    assert [spec.name for spec in choose(TRAINING, ["step64.w1a8"], quick=True)] == ["step64.w1a8"]


def test_rows_and_groups_can_be_named() -> None:
    names = [spec.name for spec in choose(TRAINING, ["distillation", "step.bit"], quick=False)]
    assert names == ["step.bit", "distillation.prediction", "distillation.two-stage"]


def test_unknown_row_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(UserError, match=r"unknown row 'step\.w1a9'; did you mean 'step\.w1a"):
        choose(TRAINING, ["step.w1a9"], quick=False)


def _groups(error: Exception | None) -> tuple[RowGroup, ...]:
    def measured(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
        yield Row(spec=specs[0], ratio=Ratio.of([float(torch.get_num_threads())]))
        if error is not None:
            raise error
        yield Row(spec=specs[1], ratio=Ratio.of([2.0]))

    return (RowGroup(specs=(FIRST, SECOND), measure=measured),)


def test_rows_are_measured_with_the_configured_threads() -> None:
    notified: list[str] = []
    threads = torch.get_num_threads()
    first, second = measure(_groups(None), (FIRST, SECOND), BenchConfig(threads=threads + 1), notified.append)
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert first.ratio.median == threads + 1
    assert torch.get_num_threads() == threads
    assert notified == ["group"]


@pytest.mark.parametrize("error", [UserError("unavailable"), torch.OutOfMemoryError("unavailable")])
def test_rows_not_measured_are_missing_with_the_reason(error: Exception) -> None:
    _, missing = measure(_groups(error), (FIRST, SECOND), BenchConfig())
    assert isinstance(missing, MissingRow)
    assert missing.spec == SECOND
    assert "unavailable" in missing.reason


@pytest.mark.parametrize(
    ("config", "goal"),
    [
        (BenchConfig(shape="base"), 2.0),
        (BenchConfig(shape="minilm"), None),
        (BenchConfig(shape="base", threads=2), None),
    ],
)
def test_goal_of_a_shape_applies_to_that_shape_and_one_thread(config: BenchConfig, goal: float | None) -> None:
    spec = RowSpec(name="a.b", description="", better="higher", goal=2.0, goal_shape="base")

    def measured(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
        yield Row(spec=spec, ratio=Ratio.of([3.0]))

    (row,) = measure([RowGroup(specs=(spec,), measure=measured)], [spec], config)
    assert row.spec.goal == goal
