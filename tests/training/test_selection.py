from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from attrs import evolve

from bebertlab.data.examples import Examples
from bebertlab.inference.predict import predict
from bebertlab.interfaces.batch import Tap
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.task import Metric, Task
from bebertlab.model.bert import BertClassifier
from bebertlab.testing.tiny import tiny_model
from bebertlab.training.labels import LabelsOptions
from bebertlab.training.objective import PhaseLoss
from bebertlab.training.selection import Selection
from bebertlab.training.setup import TeacherView, TrainingSetup
from bebertlab.training.teacher import Teacher

SetUpTraining = Callable[..., TrainingSetup]
MakeLoss = Callable[..., LossOptions]


def kept(model: BertClassifier, setup: TrainingSetup, scores: list[float]) -> float:
    """Which of the states 0, 1, 2 ... is kept, if they have these scores."""
    task = setup.task
    remaining = iter(scores)
    accuracy = Metric(name="accuracy", compute=lambda answers: next(remaining))
    setup = evolve(setup, task=evolve(task, metrics=(accuracy,)))
    selection = Selection(model, PhaseLoss([LabelsOptions()], 2), setup, by_loss=False)
    for number in range(len(scores)):
        with torch.no_grad():
            model.classifier.bias.fill_(number)
        selection.consider(last=number == len(scores) - 1)
    return float(model.classifier.bias.detach()[0])


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([1.0, 3.0, 2.0], 1),
        ([1.0, 2.0, 3.0], 2),
        ([3.0, 2.0, 1.0], 0),
        ([2.0, 2.0, 1.0], 1),  # of equal scores the later
        ([-3.0, -2.0, -2.5], 1),  # a score below 0 is a score
        ([math.nan, math.nan], 1),  # the last if all are NaN
        ([1.0, math.nan], 0),
    ],
)
def test_the_state_of_the_best_score_is_kept(
    scores: list[float], best: int, task: Task, set_up_training: SetUpTraining
) -> None:
    assert kept(tiny_model(task), set_up_training(), scores) == best


@pytest.mark.parametrize("expected", [True, False])
def test_the_last_state_is_returned_on_request(expected: bool, task: Task, set_up_training: SetUpTraining) -> None:
    scores = iter([0.9, 0.1])
    setup = evolve(set_up_training(), keep_last=expected)
    accuracy = Metric(name="accuracy", compute=lambda answers: next(scores))
    setup = evolve(setup, task=evolve(setup.task, metrics=(accuracy,)))
    model = tiny_model(task)
    selection = Selection(model, PhaseLoss([LabelsOptions()], 2), setup, by_loss=False)
    for number in (0, 1):
        with torch.no_grad():
            model.classifier.bias.fill_(number)
        selection.consider(last=number == 1)
    assert float(model.classifier.bias.detach()[0]) == 0
    assert (selection.last is not None) is expected
    if selection.last is not None:
        assert float(selection.last["classifier.bias"][0]) == 1


def test_a_model_with_nan_logits_is_not_better(task: Task, set_up_training: SetUpTraining) -> None:
    model = tiny_model(task)
    selection = Selection(model, PhaseLoss([LabelsOptions()], 2), set_up_training(), by_loss=False)
    selection.consider(last=False)
    before = predict(model, set_up_training().select)
    with torch.no_grad():
        model.classifier.bias.fill_(math.nan)
    selection.consider(last=True)
    assert torch.equal(predict(model, set_up_training().select), before)


def test_a_loss_on_teacher_logits_reads_the_tokens_of_the_teacher(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples_read: list[Examples] = []

    def logits(self: Teacher, examples: Examples, precision: str) -> torch.Tensor:
        examples_read.append(examples)
        return torch.zeros(len(examples), 2)

    monkeypatch.setattr(Teacher, "logits", logits)
    monkeypatch.setattr(Teacher, "answer", lambda *_: pytest.fail("ran on a batch"))
    setup = set_up_training(teacher=Teacher(tiny_model(task, seed=1)))
    theirs = evolve(setup.select, padding=1)
    setup = evolve(setup, teacher_view=TeacherView(train=setup.train, select=theirs, different=("vocabulary",)))
    Selection(tiny_model(task), PhaseLoss([imitate()], 2), setup, by_loss=True).consider(last=True)
    assert {id(examples) for examples in examples_read} == {id(theirs)}


def test_without_trained_logits_the_loss_selects(task: Task, set_up_training: SetUpTraining, imitate: MakeLoss) -> None:
    setup = set_up_training(teacher=Teacher(tiny_model(task, seed=1)))
    objective = PhaseLoss([imitate(logits=False, taps=frozenset({Tap.HIDDEN}))], 2)
    model = tiny_model(task, seed=1)
    selection = Selection(model, objective, setup, by_loss=True)
    states = []
    for noise in (0.3, 0.1, 0.2):
        with torch.no_grad():
            model.load_state_dict(tiny_model(task, seed=1).state_dict())
            # not the same for every feature, which the LayerNorm would take out again
            model.bert.embeddings.position_embeddings.weight[:, 0].add_(noise)
        states.append(model.bert.embeddings.position_embeddings.weight.detach().clone())
        selection.consider(last=noise == 0.2)
    assert torch.equal(model.bert.embeddings.position_embeddings.weight, states[1])
