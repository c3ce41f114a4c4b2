from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.interfaces.batch import Batch, Outputs
from bebertlab.training.labels import LabelsOptions, NoneOptions


def terms(logits: Tensor, labels: Tensor, options: LabelsOptions = LabelsOptions()) -> Tensor:  # noqa: B008 - frozen
    blank = torch.zeros(len(labels), 1, dtype=torch.int64)
    batch = Batch(positions=labels, tokens=blank, segments=blank, mask=blank == 0, labels=labels)
    return options.build(logits.shape[1])(Outputs(logits=logits, taps={}), None, batch)["labels"]


def test_cross_entropy_matches_manual_calculation() -> None:
    values = terms(torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1]))
    torch.testing.assert_close(values, torch.tensor([0.693147, 2.126928]))


def test_squared_error_matches_manual_calculation() -> None:
    assert terms(torch.tensor([[1.0], [4.0]]), torch.tensor([2.0, 1.0])).tolist() == [1.0, 9.0]


@given(st.integers(2, 5), st.integers(1, 6), st.floats(0.1, 3.0))
def test_the_gradient_is_that_of_cross_entropy(classes: int, size: int, weight: float) -> None:
    logits = torch.randn(size, classes, generator=torch.Generator().manual_seed(size), requires_grad=True)
    labels = torch.arange(size) % classes
    values = terms(logits, labels, LabelsOptions(weight=weight))
    assert values.shape == (size,)
    torch.autograd.backward(values.sum())
    expected = weight * (logits.detach().softmax(1) - torch.eye(classes)[labels])
    torch.testing.assert_close(logits.grad, expected)


def test_a_weight_is_positive() -> None:
    with pytest.raises(ValueError, match="weight"):
        LabelsOptions(weight=0.0)


def test_training_without_a_teacher_is_a_single_phase_on_gold_labels() -> None:
    (phase,) = NoneOptions().phases()
    assert phase.losses == (LabelsOptions(),)
    assert (phase.learning_rate_factor, phase.learning_rate, phase.epochs) == (1.0, None, None)
