from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.api import Quantizer
from bebertlab.model.primitives import Granularity
from bebertlab.testing import check_quantizer
from bebertlab_baselines import Dorefa, DorefaActivation


@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("unit_range", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_keeps_the_quantizer_contract(granularity: Granularity, unit_range: bool, bits: int) -> None:
    check_quantizer(Dorefa(bits=bits, granularity=granularity, unit_range=unit_range))


def test_levels_of_two_bits_are_thirds() -> None:
    # tanh gives back these numbers; normalised they are 1, 0.56, 0.22, -0.22, -1
    w = torch.tensor([[0.9, 0.5, 0.2, -0.2, -0.9]]).atanh()
    y = Dorefa(bits=2).build(w.shape)(w)
    assert y.tolist()[0] == pytest.approx([1.0, 1 / 3, 1 / 3, -1 / 3, -1.0])


def test_the_default_range_keeps_the_size_of_the_weights() -> None:
    w = torch.tensor([[0.9, 0.5, -0.9], [0.09, 0.05, -0.09]]).atanh()
    y = Dorefa(bits=2, unit_range=False, granularity="row").build(w.shape)(w)
    assert y.flatten().tolist() == pytest.approx([0.9, 0.3, -0.9, 0.09, 0.03, -0.09], abs=1e-6)


def test_one_bit_is_the_scaled_sign() -> None:
    w = torch.tensor([[1.0, -3.0, 0.0, 0.0]])
    assert Dorefa(bits=1).build(w.shape)(w).tolist() == [[1.0, -1.0, 1.0, 1.0]]
    published = Dorefa(bits=1, as_published=True).build(w.shape)
    assert published.bits == 2
    assert published(w).tolist() == [[1.0, -1.0, 0.0, 0.0]]


def test_zeros_are_nan_as_published() -> None:
    w = torch.tensor([[0.0, 0.0], [1.0, -1.0]])
    y = Dorefa(granularity="row", as_published=True).build(w.shape)(w)
    assert y[0].isnan().all()
    assert y[1].tolist() == [1.0, -1.0]


def test_the_largest_weight_of_the_unit_range_is_1_without_gradient(
    passed: Callable[[Quantizer, Tensor, Tensor], Tensor],
) -> None:
    w = torch.tensor([[0.5, -0.8, 0.1]]).atanh()
    gradient = passed(Dorefa().build(w.shape), w, torch.tensor([[0.0, 1.0, 0.0]]))
    assert gradient.abs().max() < 1e-6
    # q_0 = t_0 / 0.8: of the largest weight, -0.8, the derivative is -t_0 / m^2 (1 - m^2) sign
    gradient = passed(Dorefa().build(w.shape), w, torch.tensor([[1.0, 0.0, 0.0]]))
    expected = [(1 - 0.25) / 0.8, 0.5 / 0.64 * (1 - 0.64), 0.0]
    assert gradient[0].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("unit_range", [True, False])
def test_the_gradient_is_that_of_the_rounded_value(
    granularity: Granularity,
    unit_range: bool,
    matrix: tuple[Tensor, Tensor],
    passed: Callable[[Quantizer, Tensor, Tensor], Tensor],
    slope: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor],
) -> None:
    w, upstream = matrix

    def unrounded(w: Tensor) -> Tensor:
        t = w.tanh()
        most = t.abs().amax(-1, keepdim=True) if granularity == "row" else t.abs().amax()
        return (upstream * (t / most if unit_range else t)).sum()

    options = Dorefa(granularity=granularity, unit_range=unit_range)
    assert torch.allclose(passed(options.build(w.shape), w, upstream), slope(unrounded, w), atol=1e-7)


def test_weights_of_equal_magnitude_share_the_gradient_of_the_maximum(
    passed: Callable[[Quantizer, Tensor, Tensor], Tensor],
) -> None:
    w = torch.tensor([[0.5, -0.5, 0.25]]).atanh()
    gradient = passed(Dorefa().build(w.shape), w, torch.tensor([[0.0, 0.0, 1.0]]))
    # - t_2 / m^2 (1 - m^2) / 2 each, with the sign of the weight
    share = 0.25 / 0.25 * 0.75 / 2
    assert gradient[0].tolist() == pytest.approx([-share, share, (1 - 1 / 16) / 0.5], abs=1e-5)


@pytest.mark.parametrize("options", [{"bits": 0}, {"bits": 9}, {"granularity": "column"}])
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Dorefa(**options)


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=20), st.integers(2, 8))
def test_levels_are_within_half_a_step_of_the_normalised_tanh(values: list[float], bits: int) -> None:
    w = torch.tensor([values], dtype=torch.float64)
    y = Dorefa(bits=bits).build(w.shape)(w)
    most = w.tanh().abs().max()
    if most == 0:
        assert not y.any()
    else:
        assert (y - w.tanh() / most).abs().max() <= 1 / (2**bits - 1) + 1e-9
        assert math.isclose(y.abs().max().item(), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [1, 4])
def test_compiles(bits: int) -> None:
    check_quantizer(Dorefa(bits=bits), compiled=True)


@pytest.mark.parametrize("bits", [1, 2, 4, 12])
def test_dorefa_activation_keeps_the_quantizer_contract(bits: int) -> None:
    check_quantizer(DorefaActivation(bits=bits))
    check_quantizer(DorefaActivation(bits=max(bits, 2), signed=True))


def test_levels_are_even_from_zero_to_one() -> None:
    x = torch.tensor([-2.0, 0.1, 0.2, 0.6, 5.0])
    y = DorefaActivation(bits=2).build(x.shape)(x)
    assert y.tolist() == pytest.approx([0.0, 0.0, 1 / 3, 2 / 3, 1.0])


def test_one_bit_is_a_threshold_at_one_half() -> None:
    x = torch.tensor([0.0, 0.49, 0.51, 1.0])
    assert DorefaActivation(bits=1).build(x.shape)(x).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_signed_levels_are_mirrored() -> None:
    x = torch.tensor([-2.0, -0.3, 0.1, 0.6])
    y = DorefaActivation(bits=3, signed=True).build(x.shape)(x)
    assert y.tolist() == pytest.approx([-1.0, -1 / 3, 0.0, 2 / 3])


@pytest.mark.parametrize(("signed", "expected"), [(False, [0, 0, 0, 8, 16, 32, 0]), (True, [0, 2, 4, 8, 16, 32, 0])])
def test_the_gradient_passes_inside_the_range(
    signed: bool, expected: list[float], passed: Callable[[Quantizer, Tensor, Tensor], Tensor]
) -> None:
    x = torch.tensor([-1.1, -1.0, -0.5, 0.0, 0.5, 1.0, 1.1])
    upstream = 2.0 ** torch.arange(7)
    assert passed(DorefaActivation(signed=signed).build(x.shape), x, upstream).tolist() == expected


@pytest.mark.parametrize("options", [{"bits": 0}, {"bits": 17}, {"bits": 1, "signed": True}])
def test_dorefa_activation_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="bits"):
        DorefaActivation(**options)


@pytest.mark.slow
def test_dorefa_activation_compiles() -> None:
    check_quantizer(DorefaActivation(), compiled=True)
