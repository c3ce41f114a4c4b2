from __future__ import annotations

from collections.abc import Callable
from time import sleep

import pytest

from bebertlab.bench import measurement
from bebertlab.bench.measurement import Better, Ratio, Row, RowSpec, Timings, interleave, mean_seconds, timed


def test_blocks_alternate_and_warm_up_is_not_recorded() -> None:
    order: list[str] = []
    seconds = iter(range(100))

    def block(name: str) -> float:
        order.append(name)
        return float(next(seconds))

    timings = interleave({"a": lambda: block("a"), "b": lambda: block("b")}, repeats=2, warm_up=1)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert timings["a"] == (2.0, 4.0)
    assert timings["b"] == (3.0, 5.0)


def test_ratio_of_timings_is_taken_within_each_repeat() -> None:
    timings = Timings(seconds={"a": (1.0, 30.0, 2.0), "b": (1.0, 10.0, 2.0)})
    assert timings.ratio("a", "b", scale=2.0) == Ratio(median=2.0, low=2.0, high=6.0)
    assert timings.median("a") == 2.0


def test_timed_returns_the_seconds_of_the_call() -> None:
    assert timed(lambda: sleep(0.01), "cpu") >= 0.01


@pytest.mark.parametrize(("at_least", "calls"), [(0.0, 1), (0.005, 1), (0.025, 3)])
def test_short_calls_are_repeated(at_least: float, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[float] = []

    def timed(call: Callable[[], object], device: str) -> float:
        call()
        return 0.01

    monkeypatch.setattr(measurement, "timed", timed)
    assert mean_seconds(lambda: counted.append(0.01), "cpu", at_least=at_least) == pytest.approx(0.01)
    assert len(counted) == calls


@pytest.mark.parametrize(("values", "median"), [([1.0], 1.0), ([1.0, 3.0], 2.0), ([9.0, 1.0, 2.0], 2.0)])
def test_ratio_of_repeats_is_their_median_and_range(values: list[float], median: float) -> None:
    assert Ratio.of(values) == Ratio(median=median, low=min(values), high=max(values))


@pytest.mark.parametrize(
    ("better", "goal", "ratio", "met"),
    [
        ("lower", 1.3, 1.3, True),
        ("lower", 1.3, 1.31, False),
        ("higher", 4.0, 4.0, True),
        ("higher", 4.0, 3.9, False),
        ("lower", 0.0, 0.0, True),
        ("lower", None, 5.0, None),
    ],
)
def test_goal_is_an_inclusive_bound(better: Better, goal: float | None, ratio: float, met: bool | None) -> None:
    row = Row(spec=RowSpec(name="a.b", description="", better=better, goal=goal), ratio=Ratio.of([ratio]))
    assert row.met is met


def test_goal_is_compared_with_the_median() -> None:
    spec = RowSpec(name="a.b", description="", better="higher", goal=1.5)
    assert Row(spec=spec, ratio=Ratio.of([1.0, 1.6, 1.7])).met
    assert not Row(spec=spec, ratio=Ratio.of([1.4, 1.4, 9.0])).met


def test_name_of_a_row_is_group_and_member() -> None:
    spec = RowSpec(name="step.w1a8", description="", better="lower")
    assert (spec.group, spec.member) == ("step", "w1a8")
