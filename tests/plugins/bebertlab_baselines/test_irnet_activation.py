from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bebertlab.api import Quantizer
from bebertlab.testing import check_quantizer
from bebertlab_baselines import IrnetActivation


@pytest.mark.parametrize("as_published", [True, False])
def test_keeps_the_quantizer_contract(as_published: bool) -> None:
    check_quantizer(IrnetActivation(as_published=as_published))


def test_it_is_the_sign() -> None:
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
def test_compiles() -> None:
    check_quantizer(IrnetActivation(), compiled=True)
