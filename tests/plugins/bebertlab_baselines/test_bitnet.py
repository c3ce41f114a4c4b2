from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.api import Quantizer
from bebertlab.model.primitives import Granularity
from bebertlab.testing import check_quantizer
from bebertlab_baselines import Bitnet, BitnetActivation


@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_keeps_the_quantizer_contract(granularity: Granularity) -> None:
    check_quantizer(Bitnet(granularity=granularity))


def test_weights_are_rounded_to_the_nearest_of_three_levels() -> None:
    w = torch.tensor([[3.0, -0.9, 0.4, -0.3], [0.3, -0.09, 0.04, -0.03]])  # mean sizes 1.15 and 0.115
    assert Bitnet(granularity="row").build(w.shape).encode(w).levels.tolist() == [[1, -1, 0, 0], [1, -1, 0, 0]]
    codes = Bitnet().build(w.shape).encode(w)
    assert codes.levels.tolist() == [[1, -1, 1, 0], [0, 0, 0, 0]]
    assert codes.step.item() == pytest.approx(0.6325)


def test_the_gradient_passes_everywhere(passed: Callable[[Quantizer, Tensor, Tensor], Tensor]) -> None:
    w = torch.tensor([[3.0, -0.9, 0.4, -0.3]])
    upstream = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert torch.equal(passed(Bitnet().build(w.shape), w, upstream), upstream)


@pytest.mark.parametrize("epsilon", [0.0, -1.0])
def test_an_epsilon_that_allows_division_by_zero_is_refused(epsilon: float) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        Bitnet(epsilon=epsilon)


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=20))
def test_small_weights_move_by_at_most_half_the_scale(values: list[float]) -> None:
    w = torch.tensor([values], dtype=torch.float64)
    quantizer = Bitnet(epsilon=1e-12).build(w.shape)
    scale = w.abs().mean()
    inner = w.abs() <= scale
    assert ((quantizer(w) - w).abs() <= scale / 2 + 1e-9)[inner].all()
    assert (quantizer(w).abs()[~inner] == scale).all()


@pytest.mark.slow
def test_compiles() -> None:
    check_quantizer(Bitnet(granularity="row"), compiled=True)


@pytest.mark.parametrize("bits", [2, 4, 8, 12])
def test_bitnet_activation_keeps_the_quantizer_contract(bits: int) -> None:
    check_quantizer(BitnetActivation(bits=bits))


def test_each_token_is_scaled_by_its_largest_magnitude() -> None:
    x = torch.tensor([[[12.7, -0.26, 0.0], [0.127, -0.0026, 0.0]]])
    codes = BitnetActivation().build(torch.Size([3])).encode(x)
    assert codes.levels.tolist() == [[[127, -3, 0], [127, -3, 0]]]
    assert codes.step.flatten().tolist() == pytest.approx([0.1, 0.001])


def test_bitnet_activation_the_gradient_passes_everywhere(
    passed: Callable[[Quantizer, Tensor, Tensor], Tensor],
) -> None:
    x, upstream = torch.tensor([[3.0, -0.9, 0.4]]), torch.tensor([[1.0, 2.0, 3.0]])
    assert torch.equal(passed(BitnetActivation(bits=2).build(x.shape), x, upstream), upstream)


@pytest.mark.parametrize("bits", [1, 17])
def test_invalid_bits_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        BitnetActivation(bits=bits)


@pytest.mark.slow
def test_bitnet_activation_compiles() -> None:
    check_quantizer(BitnetActivation(), compiled=True)
