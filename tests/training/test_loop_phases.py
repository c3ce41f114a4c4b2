from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from attrs import frozen
from torch import Tensor

from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.batch import Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.quantizer import SIGNS, Codes, Quantizer, QuantizerOptions
from bebertlab.interfaces.task import Task
from bebertlab.testing.tiny import tiny_model
from bebertlab.training import loop
from bebertlab.training.loop import fit, need_teacher, train_phases
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher

OpenSession = Callable[..., TrainingSetup]
MakeLoss = Callable[..., LossOptions]


class Same(Quantizer):
    alphabet = SIGNS

    def forward(self, x: Tensor) -> Tensor:
        return x

    def encode(self, x: Tensor) -> Codes:
        raise NotImplementedError


@frozen(kw_only=True)
class Told(QuantizerOptions):
    """Changes nothing."""

    kind = "told"

    def build(self, shape: torch.Size) -> Quantizer:
        return Same()


@pytest.fixture
def two_stage(imitate: MakeLoss) -> tuple[Phase, ...]:
    inner = Phase(name="inner", losses=(imitate(logits=False, taps=frozenset({Tap.HIDDEN})),), learning_rate_factor=2.5)
    return (inner, Phase(name="prediction", losses=(imitate(),), epochs=1))


def test_phases_follow_each_other(task: Task, set_up_training: OpenSession, two_stage: tuple[Phase, ...]) -> None:
    teacher = Teacher(tiny_model(task, seed=7))
    whole, parts = tiny_model(task), tiny_model(task)
    training = train_phases(whole, two_stage, set_up_training(teacher=teacher))
    for phase in two_stage:
        fit(parts, phase, set_up_training(teacher=teacher))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    assert training.steps == 12 + 6
    assert training.teacher_seconds is not None
    assert 0 < training.teacher_seconds < training.seconds


def test_without_a_teacher_no_time_is_told(task: Task, set_up_training: OpenSession, labels_phase: Phase) -> None:
    assert train_phases(tiny_model(task), [labels_phase], set_up_training()).teacher_seconds is None


def test_progress_runs_over_all_phases(
    task: Task, set_up_training: OpenSession, two_stage: tuple[Phase, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_WORDS", 0.0)
    told: list[tuple[float, str]] = []
    setup = set_up_training(teacher=Teacher(tiny_model(task)), progress=lambda *words: told.append(words))
    train_phases(tiny_model(task), two_stage, setup)
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert (0.5, "inner: epoch 2/2") in told
    assert told[-1] == (1.0, "prediction: epoch 1/1")


def test_quantizers_follow_the_progress_of_the_whole_training(
    task: Task, set_up_training: OpenSession, two_stage: tuple[Phase, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    fractions: list[float] = []
    monkeypatch.setattr(Same, "progress", lambda _, fraction: fractions.append(fraction), raising=False)
    spec = QuantSpec(weights={Site.POOLER: Told()})
    train_phases(tiny_model(task, spec), two_stage, set_up_training(teacher=Teacher(tiny_model(task))))
    assert fractions == [*(step / 24 for step in range(12)), *(0.5 + step / 12 for step in range(6))]


def test_it_is_known_beforehand_whether_a_teacher_is_needed(two_stage: tuple[Phase, ...], labels_phase: Phase) -> None:
    assert need_teacher(two_stage, 2)
    assert not need_teacher([labels_phase], 2)
