from __future__ import annotations

from time import sleep

import pytest

from bebertlab.bench.clock import Ratio, Timings, alternate, timed


def test_blocks_take_turns_and_the_first_turn_is_left_out() -> None:
    order: list[str] = []
    seconds = iter(range(100))

    def block(name: str) -> float:
        order.append(name)
        return float(next(seconds))

    timings = alternate({"a": lambda: block("a"), "b": lambda: block("b")}, turns=2, warm_up=1)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert timings["a"] == (2.0, 4.0)
    assert timings["b"] == (3.0, 5.0)


def test_a_ratio_compares_within_a_turn() -> None:
    timings = Timings(seconds={"a": (1.0, 30.0, 2.0), "b": (1.0, 10.0, 2.0)})
    assert timings.ratio("a", "b", scale=2.0) == Ratio(median=2.0, low=2.0, high=6.0)
    assert timings.median("a") == 2.0


def test_a_call_is_timed() -> None:
    assert timed(lambda: sleep(0.01), "cpu") >= 0.01


@pytest.mark.parametrize(("values", "median"), [([1.0], 1.0), ([1.0, 3.0], 2.0), ([9.0, 1.0, 2.0], 2.0)])
def test_the_median_of_repeats(values: list[float], median: float) -> None:
    assert Ratio.of(values) == Ratio(median=median, low=min(values), high=max(values))
