"""Gradients of quantizers, and of the smooth functions that they approximate."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bebertlab.api import Quantizer

#: the gradient of x for an upstream gradient
Passed = Callable[[Quantizer, Tensor, Tensor], Tensor]
#: the derivative of a scalar function by finite differences
Slope = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]


@pytest.fixture
def passed() -> Passed:
    def gradient(quantizer: Quantizer, x: Tensor, upstream: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        quantizer(x).backward(upstream)
        assert x.grad is not None
        return x.grad

    return gradient


@pytest.fixture
def slope() -> Slope:
    def differences(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        step = 1e-6
        actual = torch.zeros_like(x)
        for position in range(x.numel()):
            up, down = x.clone(), x.clone()
            up.view(-1)[position] += step
            down.view(-1)[position] -= step
            actual.view(-1)[position] = (function(up) - function(down)) / (2 * step)
        return actual

    return differences


@pytest.fixture
def matrix() -> tuple[Tensor, Tensor]:
    """Weights, and a gradient from above, in double precision."""
    generator = torch.Generator().manual_seed(3)
    shape = (3, 7)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]
