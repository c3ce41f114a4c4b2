from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import Batch, Outputs, Tap
from bebertlab.testing import check_loss
from bebertlab_binarybert import HiddenDistanceOptions

MASK = torch.tensor([[True, True], [True, False]])


def term(options: HiddenDistanceOptions, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    tokens = MASK.long()
    batch = Batch(positions=torch.arange(2), tokens=tokens, segments=tokens, mask=MASK, labels=torch.arange(2))
    logits = torch.zeros(2, 2)
    both = [Outputs(logits=logits, taps={Tap.HIDDEN: tuple(states)}) for states in (student, teacher)]
    return options.build(2)(both[0], both[1], batch)["hidden"]


@pytest.mark.parametrize("options", [{}, {"include_padding": False}, {"weight": 0.1}, {"layers": "dynabert"}])
def test_keeps_the_loss_contract(options: dict[str, Any]) -> None:
    check_loss(HiddenDistanceOptions(**options))


@pytest.mark.parametrize("include_padding", [True, False])
def test_the_weight_is_times_the_loss(include_padding: bool) -> None:
    zero, one = torch.zeros(2, 2, 4), torch.ones(2, 2, 4)
    options = HiddenDistanceOptions(weight=0.5, include_padding=include_padding)
    assert term(options, [one, 2 * one], [zero, zero]).tolist() == [2.5, 2.5]


def test_the_layers_of_a_deeper_teacher_are_an_option() -> None:
    zero, one = torch.zeros(2, 2, 4), torch.ones(2, 2, 4)
    teacher = [zero, one, 3 * one]
    assert term(HiddenDistanceOptions(layers="uniform"), [zero, zero], teacher).tolist() == [9.0, 9.0]
    assert term(HiddenDistanceOptions(layers="last"), [zero, zero], teacher).tolist() == [10.0, 10.0]
    assert term(HiddenDistanceOptions(layers="dynabert"), [zero, zero], teacher).tolist() == [9.0, 9.0]


def test_mean_over_tokens_and_width_sum_over_layers() -> None:
    zero, one = torch.zeros(2, 2, 4), torch.ones(2, 2, 4)
    assert term(HiddenDistanceOptions(), [one, 2 * one, zero], [zero, zero, zero]).tolist() == [5.0, 5.0]


def test_padding_counts_or_does_not() -> None:
    zero, padding_only = torch.zeros(2, 2, 4), torch.zeros(2, 2, 4)
    padding_only[1, 1] = 3.0
    assert term(HiddenDistanceOptions(), [padding_only, zero], [zero, zero]).tolist() == [0.0, 4.5]
    assert term(HiddenDistanceOptions(include_padding=False), [padding_only, zero], [zero, zero]).tolist() == [0.0, 0.0]


def test_without_padding_the_mean_is_over_the_real_tokens() -> None:
    zero, one = torch.zeros(2, 2, 4), torch.ones(2, 2, 4)
    assert term(HiddenDistanceOptions(include_padding=False), [one, zero], [zero, zero]).tolist() == [1.0, 1.0]
