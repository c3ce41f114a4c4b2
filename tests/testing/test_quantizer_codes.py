"""What `check_quantizer` finds of this is in `test_quantizer.py`; here is what only a direct call shows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bebertlab.api import Alphabet, Codes, Quantizer
from bebertlab.testing import ContractError
from bebertlab.testing.quantizer_codes import (
    CHANNELS,
    MATRIX,
    ORDINARY,
    balanced,
    check_codes,
    matrices,
    probabilities,
    states,
)


class Halves(Quantizer):
    """Rounds to halves."""

    alphabet = Alphabet.unsigned(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x).decode()

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=(2 * x).round().to(torch.int8), step=x.new_tensor(0.5), alphabet=self.alphabet)


def test_valid_codes_pass() -> None:
    check_codes(Halves(), torch.tensor([0.3, 7.5]), "halves")


@pytest.mark.parametrize("level", [-1, 16])
def test_levels_outside_the_alphabet_are_named(level: int) -> None:
    with pytest.raises(ContractError, match=rf"halves: levels \[.*{level}.*\] are not all in the declared Alphabet"):
        check_codes(Halves(), torch.tensor([0.5, level / 2]), "halves")


class WideHalves(Halves):
    alphabet = Alphabet.unsigned(9)

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=(2 * x).round().to(torch.int32), step=x.new_tensor(0.5), alphabet=self.alphabet)


def test_the_largest_of_many_levels_may_be_rounded_by_half_precision() -> None:
    check_codes(WideHalves(), torch.tensor([0.0, 256.0]), "halves")  # level 512 of 0 to 511
    with pytest.raises(ContractError, match="are not all in"):
        check_codes(WideHalves(), torch.tensor([0.0, 256.5]), "halves")


def test_samples_have_the_shapes_that_quantizers_are_built_for() -> None:
    assert {x.shape for x in matrices().values()} == {MATRIX}
    assert {x.shape[-1:] for x in states().values()} == {CHANNELS}
    assert all(x.sum(-1).le(1 + 1e-6).all() for x in probabilities().values())
    assert ORDINARY in matrices().keys() & states().keys() & probabilities().keys()


@pytest.mark.parametrize("shape", [(6, 16), (2, 5, 16), (2, 2, 5, 5)])
def test_balanced_values_have_means_of_exactly_zero(shape: tuple[int, ...]) -> None:
    x = balanced(torch.ones(shape))
    assert x.shape == shape
    assert (x.mean(-1) == 0).all()
    assert x.mean() == 0
    assert (x == 0).any()
    assert (x != 0).any()
