from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import Batch, Outputs, Tap, UserError
from bebertlab.testing import check_loss
from bebertlab_binarybert import AttentionDistanceOptions, HiddenDistanceOptions, Prediction
from bebertlab_binarybert.losses import SoftCrossEntropy


def term(options: Prediction, student: Tensor, teacher: Tensor) -> Tensor:
    count = len(student)
    zeros = torch.zeros(count, 1, dtype=torch.int64)
    batch = Batch(positions=zeros[:, 0], tokens=zeros, segments=zeros, mask=zeros == 0, labels=zeros[:, 0])
    loss = options.build(student.shape[1])
    return loss(Outputs(logits=student, taps={}), Outputs(logits=teacher, taps={}), batch)["prediction"]


@pytest.mark.parametrize("options", [{}, {"temperature": 3.0}, {"reduction": "classes"}, {"weight": 0.5}])
def test_keeps_the_loss_contract(options: dict[str, Any]) -> None:
    check_loss(Prediction(**options))


def test_soft_cross_entropy_matches_manual_calculation() -> None:
    student, teacher = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[0.0, 0.0]])
    entropy = -0.5 * (math.log(0.25) + math.log(0.75))
    assert term(Prediction(reduction="classes"), student, teacher).tolist() == pytest.approx([entropy])
    assert term(Prediction(), student, teacher).tolist() == pytest.approx([entropy / 2])


def test_the_temperature_divides_both_logits_alone() -> None:
    student, teacher = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.3, 0.2, -1.0]])
    hot = term(Prediction(temperature=2.0), student, teacher)
    assert torch.allclose(hot, term(Prediction(), student / 2, teacher / 2))


def test_a_single_output_is_regressed_and_learns() -> None:
    student = torch.tensor([[1.0], [3.0]], requires_grad=True)
    value = term(Prediction(), student, torch.tensor([[0.5], [5.0]]))
    assert value.tolist() == [0.25, 4.0]
    torch.autograd.backward(value.sum())
    assert student.grad is not None
    assert student.grad.tolist() == [[1.0], [-4.0]]


@pytest.mark.parametrize("classes", [1, 3])
def test_the_weight_multiplies_the_loss(classes: int) -> None:
    student, teacher = torch.linspace(-1, 2, 2 * classes).view(2, classes), torch.zeros(2, classes)
    assert torch.equal(term(Prediction(weight=0.5), student, teacher), 0.5 * term(Prediction(), student, teacher))


def test_as_published_one_output_learns_nothing() -> None:
    student = torch.tensor([[1.0], [3.0]], requires_grad=True)
    value = term(Prediction(as_published=True), student, torch.tensor([[0.5], [5.0]]))
    torch.autograd.backward(value.sum())
    assert value.tolist() == [0.0, 0.0]
    assert student.grad is not None
    assert not student.grad.any()


def test_a_student_equal_to_its_teacher_is_at_the_minimum() -> None:
    teacher = torch.tensor([[1.0, -2.0, 0.5]])
    student = teacher.clone().requires_grad_()
    torch.autograd.backward(term(Prediction(), student, teacher).sum())
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-7


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"reduction": "sum"}, {"weight": 0.0}])
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Prediction(**options)


def test_soft_cross_entropy_of_one_logit_is_refused() -> None:
    with pytest.raises(UserError, match=r"of one logit is always 0.*squared distance"):
        SoftCrossEntropy(Prediction(), 1)


MASK = torch.tensor([[True, True], [True, False]])


def hidden_term(options: HiddenDistanceOptions, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    tokens = MASK.long()
    batch = Batch(positions=torch.arange(2), tokens=tokens, segments=tokens, mask=MASK, labels=torch.arange(2))
    logits = torch.zeros(2, 2)
    both = [Outputs(logits=logits, taps={Tap.HIDDEN: tuple(states)}) for states in (student, teacher)]
    return options.build(2)(both[0], both[1], batch)["hidden"]


@pytest.mark.parametrize("options", [{}, {"include_padding": False}, {"weight": 0.1}, {"layers": "dynabert"}])
def test_hidden_keeps_the_loss_contract(options: dict[str, Any]) -> None:
    check_loss(HiddenDistanceOptions(**options))


@pytest.mark.parametrize("include_padding", [True, False])
def test_hidden_the_weight_multiplies_the_loss(include_padding: bool) -> None:
    zero, item = torch.zeros(2, 2, 4), torch.ones(2, 2, 4)
    options = HiddenDistanceOptions(weight=0.5, include_padding=include_padding)
    assert hidden_term(options, [item, 2 * item], [zero, zero]).tolist() == [2.5, 2.5]


def test_the_layers_of_a_deeper_teacher_are_an_option() -> None:
    zero, item = torch.zeros(2, 2, 4), torch.ones(2, 2, 4)
    teacher = [zero, item, 3 * item]
    assert hidden_term(HiddenDistanceOptions(layers="uniform"), [zero, zero], teacher).tolist() == [9.0, 9.0]
    assert hidden_term(HiddenDistanceOptions(layers="last"), [zero, zero], teacher).tolist() == [10.0, 10.0]
    assert hidden_term(HiddenDistanceOptions(layers="dynabert"), [zero, zero], teacher).tolist() == [9.0, 9.0]


def test_hidden_is_averaged_over_tokens_and_width_and_summed_over_layers() -> None:
    zero, item = torch.zeros(2, 2, 4), torch.ones(2, 2, 4)
    assert hidden_term(HiddenDistanceOptions(), [item, 2 * item, zero], [zero, zero, zero]).tolist() == [5.0, 5.0]


def test_padding_is_included_or_excluded() -> None:
    zero, padding_only = torch.zeros(2, 2, 4), torch.zeros(2, 2, 4)
    padding_only[1, 1] = 3.0
    assert hidden_term(HiddenDistanceOptions(), [padding_only, zero], [zero, zero]).tolist() == [0.0, 4.5]
    assert hidden_term(HiddenDistanceOptions(include_padding=False), [padding_only, zero], [zero, zero]).tolist() == [
        0.0,
        0.0,
    ]


def test_without_padding_the_mean_is_over_the_real_tokens() -> None:
    zero, item = torch.zeros(2, 2, 4), torch.ones(2, 2, 4)
    assert hidden_term(HiddenDistanceOptions(include_padding=False), [item, zero], [zero, zero]).tolist() == [1.0, 1.0]


ATTENTION_MASK = torch.tensor([[True, True], [True, False]])


def attention_term(options: AttentionDistanceOptions, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    tokens = ATTENTION_MASK.long()
    batch = Batch(
        positions=torch.arange(2), tokens=tokens, segments=tokens, mask=ATTENTION_MASK, labels=torch.arange(2)
    )
    logits = torch.zeros(2, 2)
    both = [Outputs(logits=logits, taps={Tap.SCORES: tuple(scores)}) for scores in (student, teacher)]
    return options.build(2)(both[0], both[1], batch)["attention"]


@pytest.mark.parametrize("options", [{}, {"include_padding": False}, {"weight": 0.1}, {"layers": "dynabert"}])
def test_attention_keeps_the_loss_contract(options: dict[str, Any]) -> None:
    check_loss(AttentionDistanceOptions(**options))


@pytest.mark.parametrize("include_padding", [True, False])
def test_attention_the_weight_multiplies_the_loss(include_padding: bool) -> None:
    zero, item = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    options = AttentionDistanceOptions(weight=0.5, include_padding=include_padding)
    assert attention_term(options, [item, 2 * item], [zero, zero]).tolist() == [2.5, 2.5]


def test_attention_the_layers_of_a_deeper_teacher_are_an_option() -> None:
    zero, item = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    teacher = [item, 3 * item]
    assert attention_term(AttentionDistanceOptions(), [zero], teacher).tolist() == [9.0, 9.0]
    assert attention_term(AttentionDistanceOptions(layers="last"), [zero], teacher).tolist() == [9.0, 9.0]
    assert attention_term(AttentionDistanceOptions(layers="dynabert"), [zero], teacher).tolist() == [1.0, 1.0]


def test_attention_is_averaged_over_heads_and_tokens_and_summed_over_layers() -> None:
    zero, item = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    assert attention_term(AttentionDistanceOptions(), [item, 2 * item], [zero, zero]).tolist() == [5.0, 5.0]


def test_masked_scores_of_student_and_teacher_count_as_zero() -> None:
    zero, scores = torch.zeros(2, 1, 2, 2), torch.full((2, 1, 2, 2), 2.0)
    scores[:, :, :, 1] = -10_000.0
    scores[1, 0, 0, 1] = -100.0  # the bound belongs to the masked
    assert attention_term(AttentionDistanceOptions(), [scores], [zero]).tolist() == [2.0, 2.0]
    other = torch.full((2, 1, 2, 2), 2.0)
    assert attention_term(AttentionDistanceOptions(), [scores], [other]).tolist() == [2.0, 2.0]


def test_masked_scores_get_no_gradient() -> None:
    scores = torch.tensor([[[[1.0, -10_000.0], [2.0, -10_000.0]]]] * 2, requires_grad=True)
    torch.autograd.backward(attention_term(AttentionDistanceOptions(), [scores], [torch.ones(2, 1, 2, 2)]).sum())
    assert scores.grad is not None
    assert scores.grad[0, 0].tolist() == [[0.0, 0.0], [0.5, 0.0]]


def test_without_padding_the_mean_is_over_pairs_of_real_tokens() -> None:
    zero, item = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    assert attention_term(AttentionDistanceOptions(include_padding=False), [item], [zero]).tolist() == [1.0, 1.0]
    item[1, :, 1], item[1, :, :, 1] = 7.0, 7.0  # queries and keys that are padding
    assert attention_term(AttentionDistanceOptions(include_padding=False), [item], [zero]).tolist() == [1.0, 1.0]
