from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bebertlab.api import Quantizer
from bebertlab.model.primitives import Granularity
from bebertlab.testing import check_quantizer
from bebertlab_baselines import Xnor


@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("product_rule", [True, False])
@pytest.mark.parametrize("as_published", [True, False])
def test_keeps_the_quantizer_contract(granularity: Granularity, product_rule: bool, as_published: bool) -> None:
    check_quantizer(Xnor(granularity=granularity, product_rule=product_rule, as_published=as_published))


def test_each_row_has_its_scale() -> None:
    x = torch.tensor([[1.0, -3.0], [0.0, 0.5]])
    assert Xnor().build(x.shape)(x).tolist() == [[2.0, -2.0], [0.25, 0.25]]
    assert Xnor(granularity="tensor").build(x.shape)(x).tolist() == [[1.125, -1.125], [1.125, 1.125]]


def test_a_row_of_activations_is_a_token() -> None:
    x = torch.tensor([[[1.0, -3.0]], [[0.5, 0.25]]])
    assert Xnor().build(torch.Size([2])).encode(x).step.flatten().tolist() == [2.0, 0.375]


def test_as_published_zero_is_a_third_value() -> None:
    x = torch.tensor([[1.0, 0.0]])
    quantizer = Xnor(as_published=True).build(x.shape)
    assert quantizer.bits == 2
    assert quantizer(x).tolist() == [[0.5, 0.0]]


def test_the_gradient_is_the_papers(passed: Callable[[Quantizer, Tensor, Tensor], Tensor]) -> None:
    x = torch.tensor([[0.5, -1.0, 2.5, 0.0], [4.0, 0.0, 0.0, 0.0]])  # both rows have the scale 1
    upstream = torch.tensor([[1.0, 2.0, 4.0, 8.0], [16.0, 1.0, 0.0, 0.0]])
    gradient = passed(Xnor().build(x.shape), x, upstream)
    assert gradient.tolist() == [[1.25, 2.5, 1.0, 10.0], [4.0, 1.25, 0.0, 0.0]]
    whole = passed(Xnor(granularity="tensor").build(x.shape), x, upstream)
    assert whole[0].tolist() == [1.125, 2.25, 0.5, 9.0]  # 1/8 and the same scale


@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_the_product_rule_gives_the_scale_its_true_derivative(
    granularity: Granularity,
    matrix: tuple[Tensor, Tensor],
    passed: Callable[[Quantizer, Tensor, Tensor], Tensor],
    slope: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor],
) -> None:
    start, upstream = matrix

    def scale(x: Tensor) -> Tensor:
        return x.abs().mean(-1, keepdim=True) if granularity == "row" else x.abs().mean()

    def surrogate(x: Tensor) -> Tensor:
        return (upstream * (scale(x) * start.sign() + scale(start) * x.clamp(-1, 1))).sum()

    options = Xnor(granularity=granularity, product_rule=True)
    assert torch.allclose(passed(options.build(start.shape), start, upstream), slope(surrogate, start), atol=1e-7)


def test_an_unknown_granularity_is_refused() -> None:
    with pytest.raises(ValueError, match="granularity"):
        Xnor(granularity="column")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("product_rule", [True, False])
def test_compiles(product_rule: bool) -> None:
    check_quantizer(Xnor(product_rule=product_rule), compiled=True)
