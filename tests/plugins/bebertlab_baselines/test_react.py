from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bebertlab.api import Quantizer
from bebertlab.model.primitives import Granularity
from bebertlab.testing import check_quantizer
from bebertlab_baselines import React, ReactWeight
from bebertlab_baselines.react import ReactQuantizer


@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("as_published", [True, False])
def test_keeps_the_quantizer_contract(granularity: Granularity, as_published: bool) -> None:
    check_quantizer(ReactWeight(granularity=granularity, as_published=as_published))


def test_each_row_has_its_scale() -> None:
    w = torch.tensor([[1.0, -3.0], [0.0, 0.5]])
    assert ReactWeight().build(w.shape)(w).tolist() == [[2.0, -2.0], [0.25, 0.25]]
    assert ReactWeight(granularity="tensor").build(w.shape)(w).tolist() == [[1.125, -1.125], [1.125, 1.125]]
    assert ReactWeight(as_published=True).build(w.shape)(w)[1].tolist() == [0.0, 0.25]


def test_the_gradient_passes_up_to_one(passed: Callable[[Quantizer, Tensor, Tensor], Tensor]) -> None:
    w = torch.tensor([[-1.5, -1.0, 0.0, 1.0, 1.5]])
    upstream = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]])
    assert passed(ReactWeight().build(w.shape), w, upstream).tolist() == [[0.0, 2.0, 4.0, 8.0, 0.0]]


@pytest.mark.slow
def test_compiles() -> None:
    check_quantizer(ReactWeight(), compiled=True)


@pytest.mark.parametrize("as_published", [True, False])
def test_react_keeps_the_quantizer_contract(as_published: bool) -> None:
    check_quantizer(React(as_published=as_published))


def quantizer(*shift: float) -> ReactQuantizer:
    react = React().build(torch.Size([len(shift)]))
    with torch.no_grad():
        react.shift.copy_(torch.tensor(shift))
    return react


def test_each_channel_has_its_threshold() -> None:
    x = torch.tensor([[0.4, 0.4, -0.6], [0.6, -2.0, -0.5]])
    assert quantizer(0.5, 0.0, -0.5)(x).tolist() == [[-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]]


def test_a_last_dimension_of_varying_size_has_one_threshold() -> None:
    assert React().build(torch.Size([])).shift.shape == ()


def test_the_gradient_is_that_of_the_polynomial() -> None:
    x = torch.tensor([[-1.5], [-1.0], [-0.25], [0.0], [0.75], [1.0]], requires_grad=True)
    react = quantizer(0.0)
    torch.autograd.backward(react(x), torch.tensor([[1.0], [2.0], [4.0], [8.0], [16.0], [32.0]]))
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0.0, 0.0, 6.0, 16.0, 8.0, 0.0]
    assert react.shift.grad is not None
    assert react.shift.grad.tolist() == [-30.0]


def test_both_gradients_agree_with_finite_differences(
    matrix: tuple[Tensor, Tensor], slope: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
) -> None:
    start, upstream = matrix
    shift = torch.linspace(-0.3, 0.3, 7, dtype=torch.float64)
    react = quantizer(*shift.tolist()).double()
    x = start.clone().requires_grad_()
    react(x).backward(upstream)

    def surrogate(x: Tensor, shift: Tensor) -> Tensor:
        v = (x - shift).clamp(-1, 1)
        return (upstream * (2 * v - v.abs() * v)).sum()

    shift = react.shift.detach()
    assert x.grad is not None
    assert react.shift.grad is not None
    assert torch.allclose(x.grad, slope(lambda x: surrogate(x, shift), start), atol=1e-5)
    assert torch.allclose(react.shift.grad, slope(lambda shift: surrogate(start, shift), shift), atol=1e-5)


def test_thresholds_learn_as_biases_do() -> None:
    react = quantizer(0.0, 0.0)
    (group,) = react.parameter_groups()
    assert group.parameters == (react.shift,)
    assert group.no_decay_group


@pytest.mark.slow
def test_react_compiles() -> None:
    check_quantizer(React(), compiled=True)


def test_the_learned_threshold_is_declared() -> None:
    quantizer = React().build(torch.Size([2]))
    quantizer.load_state_dict({"shift": torch.tensor([0.5, -1.0])})
    threshold = quantizer.binary_threshold()
    assert threshold is not None
    assert threshold.shift is not None
    assert threshold.shift.tolist() == [-0.5, 1.0]
    assert React(as_published=True).build(torch.Size([2])).binary_threshold() is None
