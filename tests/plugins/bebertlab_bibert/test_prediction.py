from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bebertlab.api import Batch, Outputs
from bebertlab.testing import check_loss
from bebertlab_bibert import BibertPrediction


def terms(options: BibertPrediction, student: Tensor, teacher: Tensor, labels: Tensor) -> dict[str, Tensor]:
    zeros = torch.zeros(len(student), 1, dtype=torch.int64)
    batch = Batch(positions=zeros[:, 0], tokens=zeros, segments=zeros, mask=zeros == 0, labels=labels)
    loss = options.build(student.shape[1])
    return dict(loss(Outputs(logits=student, taps={}), Outputs(logits=teacher, taps={}), batch))


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_keeps_the_loss_contract(weight: float) -> None:
    check_loss(BibertPrediction(labels_weight=weight))


def test_teacher_and_labels_by_hand() -> None:
    student, teacher = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[0.0, 0.0]])
    found = terms(BibertPrediction(), student, teacher, torch.tensor([0]))
    soft = -0.5 * (math.log(0.25) + math.log(0.75))
    assert found["prediction"].tolist() == pytest.approx([soft / 2])  # the mean of two classes
    assert found["labels"].tolist() == pytest.approx([-0.5 * math.log(0.25)])


def test_labels_can_be_left_out() -> None:
    found = terms(BibertPrediction(labels_weight=0.0), torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([0]))
    assert found.keys() == {"prediction"}


def test_regression_learns_the_teacher_and_not_the_labels() -> None:
    student = torch.tensor([[1.0], [3.0]])
    found = terms(BibertPrediction(), student, torch.tensor([[0.5], [5.0]]), torch.tensor([9.0, 9.0]))
    assert found.keys() == {"prediction"}
    assert found["prediction"].tolist() == [0.25, 4.0]


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="labels_weight"):
        BibertPrediction(labels_weight=-0.5)
