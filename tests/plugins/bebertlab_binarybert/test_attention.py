from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import Batch, Outputs, Tap
from bebertlab.testing import check_loss
from bebertlab_binarybert import AttentionDistanceOptions

MASK = torch.tensor([[True, True], [True, False]])


def term(options: AttentionDistanceOptions, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    tokens = MASK.long()
    batch = Batch(positions=torch.arange(2), tokens=tokens, segments=tokens, mask=MASK, labels=torch.arange(2))
    logits = torch.zeros(2, 2)
    both = [Outputs(logits=logits, taps={Tap.SCORES: tuple(scores)}) for scores in (student, teacher)]
    return options.build(2)(both[0], both[1], batch)["attention"]


@pytest.mark.parametrize("options", [{}, {"include_padding": False}, {"weight": 0.1}, {"layers": "dynabert"}])
def test_keeps_the_loss_contract(options: dict[str, Any]) -> None:
    check_loss(AttentionDistanceOptions(**options))


@pytest.mark.parametrize("include_padding", [True, False])
def test_the_weight_is_times_the_loss(include_padding: bool) -> None:
    zero, one = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    options = AttentionDistanceOptions(weight=0.5, include_padding=include_padding)
    assert term(options, [one, 2 * one], [zero, zero]).tolist() == [2.5, 2.5]


def test_the_layers_of_a_deeper_teacher_are_an_option() -> None:
    zero, one = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    teacher = [one, 3 * one]
    assert term(AttentionDistanceOptions(), [zero], teacher).tolist() == [9.0, 9.0]
    assert term(AttentionDistanceOptions(layers="last"), [zero], teacher).tolist() == [9.0, 9.0]
    assert term(AttentionDistanceOptions(layers="dynabert"), [zero], teacher).tolist() == [1.0, 1.0]


def test_mean_over_heads_and_tokens_sum_over_layers() -> None:
    zero, one = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    assert term(AttentionDistanceOptions(), [one, 2 * one], [zero, zero]).tolist() == [5.0, 5.0]


def test_masked_scores_count_as_zero_on_either_side() -> None:
    zero, scores = torch.zeros(2, 1, 2, 2), torch.full((2, 1, 2, 2), 2.0)
    scores[:, :, :, 1] = -10_000.0
    scores[1, 0, 0, 1] = -100.0  # the bound belongs to the masked
    assert term(AttentionDistanceOptions(), [scores], [zero]).tolist() == [2.0, 2.0]
    other = torch.full((2, 1, 2, 2), 2.0)
    assert term(AttentionDistanceOptions(), [scores], [other]).tolist() == [2.0, 2.0]


def test_masked_scores_get_no_gradient() -> None:
    scores = torch.tensor([[[[1.0, -10_000.0], [2.0, -10_000.0]]]] * 2, requires_grad=True)
    torch.autograd.backward(term(AttentionDistanceOptions(), [scores], [torch.ones(2, 1, 2, 2)]).sum())
    assert scores.grad is not None
    assert scores.grad[0, 0].tolist() == [[0.0, 0.0], [0.5, 0.0]]


def test_without_padding_the_mean_is_over_pairs_of_real_tokens() -> None:
    zero, one = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    assert term(AttentionDistanceOptions(include_padding=False), [one], [zero]).tolist() == [1.0, 1.0]
    one[1, :, 1], one[1, :, :, 1] = 7.0, 7.0  # queries and keys that are padding
    assert term(AttentionDistanceOptions(include_padding=False), [one], [zero]).tolist() == [1.0, 1.0]
