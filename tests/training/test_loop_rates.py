"""The learning rates that a phase takes its steps with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.task import Task
from bebertlab.testing.tiny import tiny_model
from bebertlab.training.loop import fit
from bebertlab.training.optimizers import Optimizer
from bebertlab.training.schedule import rate_factor
from bebertlab.training.setup import TrainingSetup

OpenSession = Callable[..., TrainingSetup]


def test_the_rate_falls_to_zero_at_the_end_of_the_phase(
    task: Task, set_up_training: OpenSession, labels_phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors: list[float] = []
    monkeypatch.setattr(Optimizer, "step", lambda self, factor: factors.append(factor))
    fit(tiny_model(task), labels_phase, set_up_training(train_warmup=0.25))
    assert factors == [rate_factor("linear", step, 12, 0.25) for step in range(12)]


def test_the_published_schedule_is_over_before_the_phase(
    task: Task, set_up_training: OpenSession, labels_phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors: list[float] = []
    monkeypatch.setattr(Optimizer, "step", lambda self, factor: factors.append(factor))
    setup = set_up_training(train_warmup=0.01, train_batch_size=20, train_published_schedule=True)
    fit(tiny_model(task), labels_phase, setup)
    assert len(factors) == 10  # 96 examples, two epochs
    assert factors[0] == 0.0
    assert [factor == 0.0 for factor in factors[1:]] == [False] * 7 + [True] * 2
