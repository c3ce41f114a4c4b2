from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bebertlab.api import Quantizer
from bebertlab.testing import check_quantizer
from bebertlab_baselines import BitnetActivation


@pytest.mark.parametrize("bits", [2, 4, 8, 12])
def test_keeps_the_quantizer_contract(bits: int) -> None:
    check_quantizer(BitnetActivation(bits=bits))


def test_each_token_is_scaled_by_its_largest_magnitude() -> None:
    x = torch.tensor([[[12.7, -0.26, 0.0], [0.127, -0.0026, 0.0]]])
    codes = BitnetActivation().build(torch.Size([3])).encode(x)
    assert codes.levels.tolist() == [[[127, -3, 0], [127, -3, 0]]]
    assert codes.step.flatten().tolist() == pytest.approx([0.1, 0.001])


def test_the_gradient_passes_everywhere(passed: Callable[[Quantizer, Tensor, Tensor], Tensor]) -> None:
    x, upstream = torch.tensor([[3.0, -0.9, 0.4]]), torch.tensor([[1.0, 2.0, 3.0]])
    assert torch.equal(passed(BitnetActivation(bits=2).build(x.shape), x, upstream), upstream)


@pytest.mark.parametrize("bits", [1, 17])
def test_bits_that_make_no_sense_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        BitnetActivation(bits=bits)


@pytest.mark.slow
def test_compiles() -> None:
    check_quantizer(BitnetActivation(), compiled=True)
