from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.api import Quantizer
from bebertlab.testing import check_quantizer
from bebertlab_baselines import Irnet, IrnetActivation
from bebertlab_baselines.irnet import ErrorDecay, ScaleOf, decayed_gradient


@pytest.mark.parametrize("scale_of", ["standardised", "balanced"])
def test_keeps_the_quantizer_contract(scale_of: ScaleOf) -> None:
    check_quantizer(Irnet(scale_of=scale_of))


def test_signs_are_balanced_and_the_scale_is_a_power_of_two() -> None:
    w = torch.tensor([[1.0, 2.0, 3.0, 10.0]])  # the mean is 4; |b| is 3, 2, 1, 6, their mean 3, deviation 4.08
    assert Irnet(scale_of="balanced").build(w.shape)(w).tolist() == [[-4.0, -4.0, -4.0, 4.0]]  # log2 3 = 1.58
    assert Irnet().build(w.shape)(w).tolist() == [[-1.0, -1.0, -1.0, 1.0]]  # log2 (3 / 4.08) = -0.44


def test_a_weight_at_the_mean_counts_as_positive() -> None:
    w = torch.tensor([[-1.0, 0.0, 1.0]])
    assert Irnet().build(w.shape)(w).tolist() == [[-0.5, 0.5, 0.5]]
    published = Irnet(as_published=True).build(w.shape)
    assert published.bits == 2
    assert published(w).tolist() == [[-0.5, 0.0, 0.5]]


def test_equal_weights_give_zeros_without_a_gradient(passed: Callable[[Quantizer, Tensor, Tensor], Tensor]) -> None:
    w = torch.tensor([[0.25, 0.25, 0.25, 0.25], [1.0, -1.0, 1.0, -1.0]])
    quantizer = Irnet().build(w.shape)
    assert quantizer(w)[0].tolist() == [0.0] * 4
    assert passed(quantizer, w, torch.tensor([1.0, 2.0, 3.0, 4.0]).expand(2, 4))[0].tolist() == [0.0] * 4
    assert Irnet(as_published=True).build(w.shape)(w)[0].isnan().all()


@pytest.mark.parametrize("scale_of", ["standardised", "balanced"])
@pytest.mark.parametrize("fraction", [0.0, 0.4, 1.0])
def test_the_gradient_is_that_of_the_estimator_and_the_standardisation(
    scale_of: ScaleOf,
    fraction: float,
    matrix: tuple[Tensor, Tensor],
    passed: Callable[[Quantizer, Tensor, Tensor], Tensor],
    slope: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor],
) -> None:
    start, upstream = matrix
    quantizer = Irnet(scale_of=scale_of).build(start.shape)
    quantizer.progress(fraction)
    steepness = float(10 ** (2 * fraction - 1))
    scale: Tensor = quantizer(start).abs()

    def surrogate(w: Tensor) -> Tensor:
        standardised: Tensor = (w - w.mean(-1, keepdim=True)) / w.std(-1, keepdim=True)
        estimated: Tensor = max(1 / steepness, 1.0) * (steepness * standardised).tanh()
        return (upstream * scale * estimated).sum()

    assert torch.allclose(passed(quantizer, start, upstream), slope(surrogate, start), rtol=1e-5, atol=1e-6)


def test_gradients_of_a_row_change_neither_its_mean_nor_its_scale(
    matrix: tuple[Tensor, Tensor], passed: Callable[[Quantizer, Tensor, Tensor], Tensor]
) -> None:
    w, upstream = matrix
    gradient = passed(Irnet().build(w.shape), w, upstream)
    assert gradient.sum(-1).abs().max() < 1e-12
    assert (gradient * (w - w.mean(-1, keepdim=True))).sum(-1).abs().max() < 1e-12


@pytest.mark.parametrize("options", [{"scale_of": "row"}, {"first": 0.0}, {"last": -1.0}])
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Irnet(**options)


@given(st.lists(st.floats(-4, 4, width=32), min_size=2, max_size=20))
def test_the_scale_is_within_a_factor_of_the_root_of_two(values: list[float]) -> None:
    w = torch.tensor([values], dtype=torch.float64)
    magnitude = (w - w.mean()).abs().mean().item()
    scale = Irnet(scale_of="balanced").build(w.shape).encode(w).step.item()
    assert scale == 0.0 or math.log2(scale).is_integer()
    if magnitude > 1e-6:
        assert 2**-0.5 - 1e-9 <= scale / magnitude <= 2**0.5 + 1e-9


@pytest.mark.slow
def test_compiles() -> None:
    check_quantizer(Irnet(), compiled=True)


@pytest.mark.parametrize("as_published", [True, False])
def test_irnet_activation_keeps_the_quantizer_contract(as_published: bool) -> None:
    check_quantizer(IrnetActivation(as_published=as_published))


def test_activations_are_signs() -> None:
    x = torch.tensor([-3.0, 0.0, 0.1])
    assert IrnetActivation().build(x.shape)(x).tolist() == [-1.0, 1.0, 1.0]
    assert IrnetActivation(as_published=True).build(x.shape)(x).tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.9])
def test_the_gradient_is_that_of_the_estimator(
    fraction: float,
    matrix: tuple[Tensor, Tensor],
    passed: Callable[[Quantizer, Tensor, Tensor], Tensor],
    slope: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor],
) -> None:
    x, upstream = matrix
    quantizer = IrnetActivation().build(x.shape)
    quantizer.progress(fraction)
    steepness = 10 ** (2 * fraction - 1)

    def surrogate(x: Tensor) -> Tensor:
        return (upstream * max(1 / steepness, 1) * (steepness * x).tanh()).sum()

    assert torch.allclose(passed(quantizer, x, upstream), slope(surrogate, x), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_irnet_activation_compiles() -> None:
    check_quantizer(IrnetActivation(), compiled=True)


@pytest.mark.parametrize(("fraction", "steepness", "factor"), [(0.0, 0.1, 10.0), (0.5, 1.0, 1.0), (1.0, 10.0, 1.0)])
def test_the_sharpness_rises_evenly_on_a_logarithmic_scale(fraction: float, steepness: float, factor: float) -> None:
    decay = ErrorDecay(0.1, 10.0)
    decay.progress(fraction)
    assert math.isclose(decay.steepness.item(), steepness, rel_tol=1e-6)
    assert math.isclose(decay.factor.item(), factor, rel_tol=1e-6)


def test_the_slope_at_zero_is_at_least_1() -> None:
    decay, slopes = ErrorDecay(0.1, 10.0), []
    for step in range(11):
        decay.progress(step / 10)
        slopes.append(decayed_gradient(torch.ones(1), torch.zeros(1), decay.steepness, decay.factor).item())
    assert slopes[:6] == pytest.approx([1.0] * 6)
    assert slopes[6:] == sorted(slopes[6:])
    assert slopes[-1] == pytest.approx(10.0)


def test_the_steepness_is_not_saved_and_a_copy_is_independent() -> None:
    decay = ErrorDecay(0.1, 10.0)
    twin = copy.deepcopy(decay)
    twin.progress(1.0)
    assert not decay.state_dict()
    assert decay.steepness.item() == pytest.approx(0.1)
