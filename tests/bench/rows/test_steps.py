from __future__ import annotations

from collections.abc import Callable, Mapping
from time import sleep
from types import TracebackType
from typing import TYPE_CHECKING, Self

import pytest
from attrs import evolve

from bebertlab.bench.measurement import MissingRow, Row, Timings
from bebertlab.bench.models import SCHEMES, BenchConfig, BenchScheme
from bebertlab.bench.rows import steps
from bebertlab.bench.rows.steps import (
    COMPILE,
    DISTILLATION,
    LONG,
    OPTIMIZER,
    PREDICTION,
    SHORT,
    TWO_STAGE,
    Stopwatch,
    measure_compile,
    measure_distillation,
    measure_long_steps,
    measure_optimizer,
    measure_short_steps,
)
from bebertlab.training.options import TrainOptions

if TYPE_CHECKING:
    from tests.bench.rows.conftest import FixedTimings


def test_steps_are_compared_with_the_reference(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"reference": 0.2, **{f"step.{scheme.name}": 0.25 for scheme in SCHEMES}, "step.own": 0.1}
    monkeypatch.setattr(steps, "interleave", fixed_timings(seconds))
    rows = {result.spec.name: result for result in measure_short_steps(SHORT, config) if isinstance(result, Row)}
    assert rows.keys() >= {"step.w1a8", "step.w1a4", "step.own"}
    assert rows["step.w1a8"].ratio.median == pytest.approx(1.25)
    assert rows["step.w1a8"].met is True
    assert rows["step.w1a8"].note == "250 ms / 200 ms"
    assert rows["step.own"].ratio.median == 0.5
    assert rows["step.own"].met is None


def test_only_requested_steps_are_measured(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "interleave", fixed_timings({"reference": 0.2, "step64.own": 0.1}))
    (row,) = measure_long_steps([spec for spec in LONG if spec.member == "own"], config)
    assert row.spec.name == "step64.own"
    assert "64 tokens" in row.spec.description


def test_nothing_is_measured_without_the_plugin(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = BenchScheme(name="w1a8", description="W1A8 split", options={"kind": "no-such-scheme"})
    monkeypatch.setattr("bebertlab.bench.models.SCHEMES", (unknown,))
    monkeypatch.setattr(steps, "interleave", None)
    (missing,) = measure_short_steps(SHORT[:1], config)
    assert isinstance(missing, MissingRow)
    assert "no-such-scheme" in missing.reason


def test_distillation_is_the_mean_of_its_phases(
    config: BenchConfig, fixed_timings: FixedTimings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "interleave", fixed_timings({"none": 1.0, "prediction": 1.1, "inner": 2.0}))
    rows = {result.spec: result for result in measure_distillation(DISTILLATION, config) if isinstance(result, Row)}
    assert rows[PREDICTION].ratio.median == pytest.approx(1.1)
    assert rows[TWO_STAGE].ratio.median == pytest.approx(1.55)
    assert rows[TWO_STAGE].note == "by phase: inner 2.00 + prediction 1.10"
    assert rows[TWO_STAGE].met is True


def test_distillation_is_missing_if_no_plugin_provides_it(config: BenchConfig) -> None:
    (missing,) = measure_distillation([evolve(PREDICTION, name="distillation.new")], config)
    assert isinstance(missing, MissingRow)
    assert missing.reason == "no plugin provides the distillation 'new'"


def test_optimizer_takes_a_part_of_the_step(config: BenchConfig) -> None:
    (row,) = measure_optimizer(OPTIMIZER, config)
    assert 0.0 < row.ratio.low <= row.ratio.median <= row.ratio.high < 1.0


def test_stopwatch_adds_up_its_calls() -> None:
    calls: list[float] = []

    def call(seconds: float) -> None:
        calls.append(seconds)
        sleep(seconds)

    stopwatch = Stopwatch(call, "cpu")
    stopwatch(0.01)
    stopwatch(0.02)
    assert calls == [0.01, 0.02]
    assert stopwatch.seconds >= 0.03


class ScriptedTraining:
    """A training whose blocks take the given seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def train(self, steps: int) -> float:
        return self._seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@pytest.mark.parametrize(
    ("compiled", "note"),
    [
        (0.5, "compilation takes 40 s; break-even after 80 steps"),
        (2.0, "compilation takes 40 s; no break-even"),
    ],
)
def test_break_even_of_compilation(
    compiled: float, note: str, config: BenchConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_blocks = iter([1.0, 41.0])  # eager, compiled

    def interleave(blocks: Mapping[str, Callable[[], float]], repeats: int) -> Timings:
        return Timings(seconds={"eager": (1.0,), "compiled": (compiled,)})

    monkeypatch.setattr(steps, "train_labels", lambda model, setup: ScriptedTraining(next(first_blocks)))
    monkeypatch.setattr(steps, "interleave", interleave)
    monkeypatch.setattr(steps, "train_options", lambda config, **values: TrainOptions())
    (row,) = measure_compile(COMPILE, config)
    assert row.ratio.median == pytest.approx(1.0 / compiled)
    assert row.note == note
    assert row.met is None
