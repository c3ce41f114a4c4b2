from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import Batch, Outputs, UserError
from bebertlab.testing import check_loss
from bebertlab_binarybert import Prediction
from bebertlab_binarybert.prediction import SoftCrossEntropy


def term(options: Prediction, student: Tensor, teacher: Tensor) -> Tensor:
    count = len(student)
    zeros = torch.zeros(count, 1, dtype=torch.int64)
    batch = Batch(positions=zeros[:, 0], tokens=zeros, segments=zeros, mask=zeros == 0, labels=zeros[:, 0])
    loss = options.build(student.shape[1])
    return loss(Outputs(logits=student, taps={}), Outputs(logits=teacher, taps={}), batch)["prediction"]


@pytest.mark.parametrize("options", [{}, {"temperature": 3.0}, {"reduction": "classes"}, {"weight": 0.5}])
def test_keeps_the_loss_contract(options: dict[str, Any]) -> None:
    check_loss(Prediction(**options))


def test_soft_cross_entropy_by_hand() -> None:
    student, teacher = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[0.0, 0.0]])
    entropy = -0.5 * (math.log(0.25) + math.log(0.75))
    assert term(Prediction(reduction="classes"), student, teacher).tolist() == pytest.approx([entropy])
    assert term(Prediction(), student, teacher).tolist() == pytest.approx([entropy / 2])


def test_the_temperature_divides_both_logits_and_nothing_else() -> None:
    student, teacher = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.3, 0.2, -1.0]])
    hot = term(Prediction(temperature=2.0), student, teacher)
    assert torch.allclose(hot, term(Prediction(), student / 2, teacher / 2))


def test_one_output_is_regression_and_learns() -> None:
    student = torch.tensor([[1.0], [3.0]], requires_grad=True)
    value = term(Prediction(), student, torch.tensor([[0.5], [5.0]]))
    assert value.tolist() == [0.25, 4.0]
    torch.autograd.backward(value.sum())
    assert student.grad is not None
    assert student.grad.tolist() == [[1.0], [-4.0]]


@pytest.mark.parametrize("classes", [1, 3])
def test_the_weight_is_times_the_loss(classes: int) -> None:
    student, teacher = torch.linspace(-1, 2, 2 * classes).view(2, classes), torch.zeros(2, classes)
    assert torch.equal(term(Prediction(weight=0.5), student, teacher), 0.5 * term(Prediction(), student, teacher))


def test_as_published_nothing_is_learnt_from_one_output() -> None:
    student = torch.tensor([[1.0], [3.0]], requires_grad=True)
    value = term(Prediction(as_published=True), student, torch.tensor([[0.5], [5.0]]))
    torch.autograd.backward(value.sum())
    assert value.tolist() == [0.0, 0.0]
    assert student.grad is not None
    assert not student.grad.any()


def test_a_student_like_its_teacher_is_at_the_minimum() -> None:
    teacher = torch.tensor([[1.0, -2.0, 0.5]])
    student = teacher.clone().requires_grad_()
    torch.autograd.backward(term(Prediction(), student, teacher).sum())
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-7


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"reduction": "sum"}, {"weight": 0.0}])
def test_what_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Prediction(**options)


def test_soft_cross_entropy_of_one_logit_is_refused() -> None:
    with pytest.raises(UserError, match=r"of one logit is 0 whatever the student says.*squared distance"):
        SoftCrossEntropy(Prediction(), 1)
