from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.train.schedule import warmup_linear


@given(st.integers(1, 300), st.floats(0, 0.9))
def test_the_rate_rises_to_its_highest_and_falls_towards_zero(steps: int, warmup: float) -> None:
    factors = [warmup_linear(step, steps, warmup) for step in range(steps)]
    assert all(0.0 <= factor <= 1.0 for factor in factors)
    top = factors.index(max(factors))
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert top == (0 if warmup * steps < 1 else pytest.approx(warmup * steps, abs=1))


def test_a_single_step_trains() -> None:
    assert warmup_linear(0, 1, 0.1) == 1.0


def test_without_warm_up_the_first_step_has_the_whole_rate() -> None:
    assert [warmup_linear(step, 4, 0.0) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]
