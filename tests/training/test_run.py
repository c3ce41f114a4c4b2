"""A batch that is computed in parts, by option or because the memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve
from torch import Tensor, nn

from bebertlab.errors import SetupError
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import BertClassifier
from bebertlab.testing.tiny import tiny_model
from bebertlab.training import run
from bebertlab.training.loop import fit, started_phase, train_phases
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher
from tests.training.interruption import KillAt, Killed, state_file

SetUpTraining = Callable[..., TrainingSetup]
MakeLoss = Callable[..., LossOptions]
REWEIGHTED = SampleWeights(weights=np.arange(1, 97) / (97 * 48), sampling=Sampling.REWEIGHT)


def limit_memory(model: BertClassifier, rows: int, *, backward: bool = False) -> None:
    """Let a layer run out of memory where a batch has more rows, in the forward or in the backward pass."""

    def forward(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        def fail(gradient: Tensor) -> None:
            raise torch.OutOfMemoryError("tried to allocate 20.00 GiB")

        if len(output) <= rows or not module.training:
            return
        if not backward:
            raise torch.OutOfMemoryError("tried to allocate 20.00 GiB")
        output.register_hook(fail)  # type: ignore[no-untyped-call]

    model.bert.encoder.layer[0].register_forward_hook(forward)


def without_dropout(model: BertClassifier) -> BertClassifier:
    for module in model.modules():
        for name in ("dropout", "attention_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    model.architecture = evolve(model.architecture, dropout=0.0, attention_dropout=0.0)
    return model


def gradients(model: BertClassifier, phase: Phase, setup: TrainingSetup) -> tuple[list[Tensor], float]:
    """All gradients of the first step, and its loss."""
    kept: list[Tensor] = []
    with started_phase(model, phase, setup) as started:
        started.optimizer.step = lambda factor: kept.extend(  # type: ignore[method-assign]
            p.grad.to_dense().clone() for p in model.parameters() if p.grad is not None
        )
        next(started.steps())
        assert started.curve.last is not None
        return kept, started.curve.last.loss


@pytest.mark.parametrize("weights", [None, REWEIGHTED])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_parts_have_the_gradients_of_the_batch(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, size: int, weights: SampleWeights | None
) -> None:
    given: dict[str, Any] = {"train_batch_size": 20, "round": weights}
    whole, loss = gradients(without_dropout(tiny_model(task)), labels_phase, set_up_training(**given))
    parts, same = gradients(
        without_dropout(tiny_model(task)), labels_phase, set_up_training(**given, train_micro_batch_size=size)
    )
    assert same == pytest.approx(loss, rel=1e-6)
    assert len(parts) == len(whole) > 20
    for first, second in zip(whole, parts, strict=True):
        torch.testing.assert_close(second, first, rtol=1e-4, atol=1e-7)


def test_losses_of_parts_stay_close_over_a_training(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase
) -> None:
    """The last batch of each epoch is smaller."""
    curves = [
        fit(without_dropout(tiny_model(task)), labels_phase, set_up_training(train_batch_size=20, **given)).curve
        for given in ({}, {"train_micro_batch_size": 7})
    ]
    first, second = ([point.loss for point in curve.phases[0].training] for curve in curves)
    assert second == pytest.approx(first, rel=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "bertadam"])
@pytest.mark.parametrize("backward", [False, True])
def test_out_of_memory_is_the_same_as_smaller_parts(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, optimizer: str, backward: bool
) -> None:
    models = [tiny_model(task), tiny_model(task)]
    limit_memory(models[0], rows=5, backward=backward)
    warnings: list[str] = []
    setups = [
        set_up_training(train_optimizer=optimizer, warn=warnings.append),
        set_up_training(train_optimizer=optimizer, train_micro_batch_size=4),
    ]
    trainings = [fit(model, labels_phase, setup) for model, setup in zip(models, setups, strict=True)]
    assert trainings[0].curve == trainings[1].curve
    for tensor, other in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(tensor, other)
    assert len(warnings) == 1


def test_out_of_memory_in_a_later_step_keeps_the_steps_before(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase
) -> None:
    model, plain = tiny_model(task), tiny_model(task)

    def observe(*given: Any, step: int | None = None, **values: Any) -> None:  # noqa: ANN401
        if step == 6:
            limit_memory(model, rows=8)

    curve = fit(model, labels_phase, set_up_training(progress=observe, train_evaluations=1)).curve
    whole = fit(plain, labels_phase, set_up_training()).curve
    assert curve.phases[0].training[:6] == whole.phases[0].training[:6]
    assert curve.phases[0].training[6:] != whole.phases[0].training[6:]
    assert curve.steps == 12


def test_a_single_example_that_does_not_fit_is_an_error(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase
) -> None:
    model = tiny_model(task)
    limit_memory(model, rows=0)
    with pytest.raises(SetupError, match="single example"):
        fit(model, labels_phase, set_up_training())


def test_a_resumed_training_keeps_the_size_of_its_parts(
    task: Task,
    set_up_training: SetUpTraining,
    labels_phase: Phase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "PROGRESS_SECONDS", -1.0)
    first, second, whole = (tiny_model(task) for _ in range(3))
    limit_memory(first, rows=8)
    with pytest.raises(Killed):
        train_phases(first, (labels_phase,), set_up_training(states=state_file(tmp_path), progress=KillAt(5)))
    warnings: list[str] = []
    # with enough memory now
    train_phases(second, (labels_phase,), set_up_training(states=state_file(tmp_path), warn=warnings.append))
    train_phases(whole, (labels_phase,), set_up_training(train_micro_batch_size=8))
    assert all(map(torch.equal, second.state_dict().values(), whole.state_dict().values()))
    assert len(warnings) == 1  # the artifact is of the second process


def test_a_teacher_answers_part_by_part(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, labels_phase: Phase
) -> None:
    phase = evolve(labels_phase, losses=(imitate(),))
    losses = [
        fit(
            without_dropout(tiny_model(task)),
            phase,
            set_up_training(teacher=Teacher(tiny_model(task, seed=1)), train_batch_size=20, **given),
        )
        .curve.phases[0]
        .training[0]
        .loss
        for given in ({}, {"train_micro_batch_size": 6})
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
