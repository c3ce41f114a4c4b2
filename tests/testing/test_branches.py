from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from bebertlab.api import Codes, Quantizer, straight_through
from bebertlab.testing.branches import check_branches
from bebertlab.testing.contract import ContractError

X = torch.linspace(-1, 1, 12).view(3, 4)


class Gain(Quantizer):
    """Whole numbers times a gain."""

    bits = 3

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.25))

    def forward(self, x: Tensor) -> Tensor:
        return straight_through(self.encode(x).decode(), x)

    def encode(self, x: Tensor) -> Codes:
        step = self.gain.detach()
        return Codes(levels=(x.detach() / step).round().to(torch.int8), step=step, bits=3)


class OneForAll(Gain):
    def forward_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        return [self(x)] * (1 + len(others))


class OneMissing(Gain):
    def forward_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        return super().forward_branches(others, x)[:-1]


def test_branches_that_are_quantized_one_by_one_are_right() -> None:
    check_branches(Gain(), X)


@pytest.mark.parametrize("broken", [OneForAll, OneMissing])
def test_what_gives_a_branch_something_else_is_told(broken: type[Gain]) -> None:
    with pytest.raises(ContractError, match="forward_branches differs from"):
        check_branches(broken(), X)


class Detached(Gain):
    def forward_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        return super().forward_branches(others, x.detach() + 0 * x)


def test_gradients_that_go_elsewhere_are_told() -> None:
    with pytest.raises(ContractError, match="forward_branches differs from x"):
        check_branches(Detached(), X)


class CodesOfOne(Gain):
    def encode_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Codes]:
        return [self.encode(x)] * (1 + len(others))


class CodesMissing(Gain):
    def encode_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Codes]:
        return super().encode_branches(others, x)[:-1]


@pytest.mark.parametrize("broken", [CodesOfOne, CodesMissing])
def test_codes_of_another_branch_are_told(broken: type[Gain]) -> None:
    with pytest.raises(ContractError, match="encode_branches does not give"):
        check_branches(broken(), X)
