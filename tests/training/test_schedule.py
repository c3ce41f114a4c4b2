from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.training.schedule import Schedule, counted_steps, rate_factor, warmup_constant, warmup_linear


@given(st.integers(1, 300), st.floats(0, 0.9))
def test_the_learning_rate_warms_up_and_decays(steps: int, warmup: float) -> None:
    factors = [rate_factor("linear", step, steps, warmup) for step in range(steps)]
    assert all(0.0 <= factor <= 1.0 for factor in factors)
    top = factors.index(max(factors))
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert top == (0 if warmup * steps < 1 else pytest.approx(warmup * steps, abs=1))


@given(st.integers(1, 300), st.floats(0, 0.9))
def test_a_constant_learning_rate_warms_up_and_stays(steps: int, warmup: float) -> None:
    factors = [rate_factor("constant", step, steps, warmup) for step in range(steps)]
    assert factors == sorted(factors)
    assert factors[0] == (0.0 if warmup * steps >= 1 else 1.0)
    assert all(factor == 1.0 for step, factor in enumerate(factors) if step >= warmup * steps)


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_a_single_step_trains(schedule: Schedule) -> None:
    assert rate_factor(schedule, 0, 1, 0.1) == 1.0


def test_as_published_a_warm_up_shorter_than_a_step_starts_at_zero() -> None:
    assert [warmup_linear(0, 7, 0.1), warmup_constant(0, 7, 0.1)] == [0.0, 0.0]


def test_the_published_schedule_keeps_a_short_warm_up_and_ignores_incomplete_batches() -> None:
    assert rate_factor("linear", 0, 7, 0.1, as_published=True) == 0.0
    assert [counted_steps(33, 16, 2), counted_steps(33, 16, 2, as_published=True)] == [6, 4]
    assert [counted_steps(32, 16, 2), counted_steps(32, 16, 2, as_published=True)] == [4, 4]
    assert counted_steps(3, 16, 2, as_published=True) == 1  # fewer than a batch: nothing to divide by


def test_without_warm_up_the_first_step_has_the_full_learning_rate() -> None:
    assert [warmup_linear(step, 4, 0.0) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]


def test_after_the_last_step_the_learning_rate_is_zero() -> None:
    assert [warmup_linear(step, 4, 0.25) for step in (4, 5, 100)] == [0.0, 0.0, 0.0]
