from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from bebertlab.testing import check_quantizer
from bebertlab_binarybert import Lsq
from bebertlab_binarybert.lsq import LsqQuantizer

X = torch.tensor([[-2.0, -0.5, 0.0], [0.25, 1.0, 3.0]])


def quantizer_with(step: float, **options: Any) -> LsqQuantizer:  # noqa: ANN401 - passed on to the options
    quantizer = Lsq(**options).build(X.shape)
    quantizer.load_state_dict({"step": torch.tensor(step), "initialised": torch.tensor(True)})
    return quantizer


def gradients(quantizer: LsqQuantizer, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    quantizer(x).backward(upstream)
    assert x.grad is not None
    assert quantizer.step.grad is not None
    return x.grad, quantizer.step.grad


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_keeps_the_quantizer_contract(symmetric: bool, bits: int) -> None:
    check_quantizer(Lsq(bits=bits, symmetric=symmetric))


@pytest.mark.parametrize(("symmetric", "factor", "high"), [(True, 2, 7), (False, 4, 15)])
def test_the_first_training_batch_sets_the_step_and_no_other(symmetric: bool, factor: int, high: int) -> None:
    quantizer = Lsq(symmetric=symmetric).build(X.shape)
    quantizer(X)
    assert quantizer.step.item() == pytest.approx(factor * X.abs().mean().item() / math.sqrt(high))
    first = quantizer.step.item()
    quantizer(10 * X)
    assert quantizer.step.item() == first


def test_evaluation_before_training_uses_a_temporary_step() -> None:
    quantizer = Lsq().build(X.shape).eval()
    before = quantizer(X)
    assert not quantizer.initialised
    assert quantizer.step.item() == 1.0
    trained = Lsq().build(X.shape).train()
    assert torch.equal(trained(X), before)


def test_the_initialized_flag_of_the_step_is_saved() -> None:
    quantizer = Lsq().build(X.shape)
    quantizer(X)
    restored = Lsq().build(X.shape)
    restored.load_state_dict(quantizer.state_dict())
    restored(100 * X)
    assert torch.equal(restored.step, quantizer.step)


def test_loading_an_unset_state_unsets_the_step() -> None:
    quantizer, fresh = Lsq().build(X.shape), Lsq().build(X.shape)
    for _ in range(2):  # the second call finds the step set
        quantizer(X)
    quantizer.load_state_dict(fresh.state_dict())
    quantizer(100 * X)
    assert quantizer.step.item() == pytest.approx(2 * 100 * X.abs().mean().item() / math.sqrt(7))


def test_a_saved_step_of_exactly_1_is_not_initialized_again() -> None:
    quantizer = quantizer_with(1.0)
    quantizer(X)
    assert quantizer.step.item() == 1.0


def test_a_deepcopy_keeps_the_initialized_flag() -> None:
    quantizer = Lsq().build(X.shape)
    quantizer(X)
    twin = copy.deepcopy(quantizer)
    twin(100 * X)
    assert torch.equal(twin.step, quantizer.step)


def test_the_gradient_of_values_and_step_matches_manual_calculation() -> None:
    x = torch.tensor([[-3.0, -2.0, 0.75, 1.0, 1.5]])  # in steps of 1; levels -2 to 1
    passed, slope = gradients(quantizer_with(1.0, bits=2), x, torch.ones_like(x))
    assert passed.tolist() == [[0.0, 1.0, 1.0, 1.0, 0.0]]
    assert slope.item() == pytest.approx((-2 + 0 + 0.25 + 0 + 1) / math.sqrt(5 * 1))


def test_the_gradient_of_the_step_is_the_slope_of_the_surrogate() -> None:
    # between two ties q = a * (level - u) + x has the slope level - u where u = x / a is in range
    x, a, h = torch.tensor([[0.37, -1.3, 0.9, 5.0]], dtype=torch.float64), 0.4, 1e-6
    _, slope = gradients(quantizer_with(a).double(), x, torch.ones_like(x))
    start = x / a
    residue = (start.clamp(-8, 7).round() - start) * (start <= 7)

    def surrogate(step: float) -> float:
        u = x / step
        return float((step * torch.where(u > 7, 7.0, u + residue)).sum())

    numeric = (surrogate(a + h) - surrogate(a - h)) / (2 * h)
    assert slope.item() * math.sqrt(4 * 7) == pytest.approx(numeric, rel=1e-5)


@pytest.mark.parametrize("step", [-0.3, 0.0, 1e-9])
def test_a_step_below_the_minimum_works_and_can_rise(step: float) -> None:
    quantizer = quantizer_with(step)
    assert quantizer(X).isfinite().all()
    assert quantizer(X).abs().max().item() == pytest.approx(8e-5)
    _, slope = gradients(quantizer, X, X)  # larger values are wanted, so a larger step is
    assert slope.item() > 0


@pytest.mark.parametrize(
    ("step", "expected"), [(-0.5, [-0.5, 0.0, 0.5]), (1e-6, [-2e-6, 1e-6, 1e-6]), (0.0, [math.nan] * 3)]
)
def test_as_published_a_step_is_not_bounded(step: float, expected: list[float]) -> None:
    x = torch.tensor([-1.0, 0.1, 0.6])  # a negative step turns the levels -2 to 1 around
    quantizer = quantizer_with(step, bits=2, as_published=True)
    assert quantizer(x).tolist() == pytest.approx(expected, nan_ok=True)
    assert quantizer.encode(x).decode().tolist() == pytest.approx(expected, nan_ok=True)


def test_as_published_asymmetric_levels_of_a_negative_step_let_no_gradient_pass() -> None:
    x = torch.tensor([[1.0, 1.2, 3.0]])
    passed, slope = gradients(quantizer_with(-0.5, symmetric=False, as_published=True), x, torch.ones_like(x))
    assert passed.tolist() == [[1.0, 0.0, 0.0]]
    assert slope.item() == 0.0


def test_asymmetric_levels_start_at_the_smallest_value() -> None:
    x = torch.tensor([5.0, 5.5, 6.0])
    quantizer = quantizer_with(0.5, bits=2, symmetric=False)
    codes = quantizer.encode(x)
    assert codes.levels.tolist() == [0, 1, 2]
    assert quantizer(x).tolist() == [5.0, 5.5, 6.0]


@pytest.mark.parametrize("bits", [1, 17])
def test_bits_out_of_range_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        Lsq(bits=bits)


@pytest.mark.slow
@pytest.mark.parametrize("symmetric", [True, False])
def test_compiles_once_the_step_is_set(symmetric: bool) -> None:
    check_quantizer(Lsq(symmetric=symmetric), compiled=True)


def test_the_grid_starts_at_the_smallest_value_or_at_zero() -> None:
    grid = quantizer_with(0.5, symmetric=False).level_grid(-3.0, 9.0)
    assert grid is not None
    assert (grid.step, grid.divisor, grid.offset, grid.base) == (0.5, 0.5, -3.0, -3.0)
    grid = quantizer_with(1e-9).level_grid(-3.0, 9.0)
    assert grid is not None
    assert (grid.offset, grid.base) == (None, 0.0)
    assert grid.step == pytest.approx(1e-5)


def test_there_is_no_grid_without_a_positive_step() -> None:
    assert Lsq().build(X.shape).eval().level_grid(-1.0, 1.0) is None
    for step in (0.0, -0.5):
        assert quantizer_with(step, as_published=True).level_grid(-1.0, 1.0) is None
    assert quantizer_with(0.5, as_published=True).level_grid(-1.0, 1.0) is not None
