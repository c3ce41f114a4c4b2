from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from attrs import evolve
from torch import Tensor

from bebertlab.interfaces.architecture import Architecture, Design
from bebertlab.nn.attention import additive_mask
from bebertlab.nn.layer import FeedForwardUp, Layer, Residual
from bebertlab.nn.parts import Parts

LAYER = "bert.encoder.layer.0"


def test_a_residual_is_normalized_after_the_sum(sizes: Architecture) -> None:
    residual = Residual(Parts(sizes, Design()), f"{LAYER}.output", sizes.ffn)
    y, x = torch.randn(2, 3, sizes.ffn), torch.randn(2, 3, sizes.hidden)
    with torch.no_grad():
        residual.get_parameter("dense.weight").normal_()
        residual.get_parameter("dense.bias").normal_()
    summed = x + F.linear(y, residual.get_parameter("dense.weight"), residual.get_parameter("dense.bias"))
    spread = summed.var(-1, unbiased=False, keepdim=True)
    torch.testing.assert_close(residual(y, x), (summed - summed.mean(-1, keepdim=True)) / (spread + 1e-12).sqrt())


def test_dropout_is_of_what_is_added_not_of_what_it_is_added_to(sizes: Architecture) -> None:
    residual = Residual(Parts(evolve(sizes, dropout=1.0), Design()), f"{LAYER}.output", sizes.ffn)
    with torch.no_grad():
        residual.get_parameter("dense.bias").normal_()
    y, x = torch.randn(2, 3, sizes.ffn), torch.randn(2, 3, sizes.hidden)
    torch.testing.assert_close(residual.train()(y, x), F.layer_norm(x, (sizes.hidden,), eps=1e-12))


@pytest.mark.parametrize(
    ("architecture", "design", "expected"),
    [("gelu", None, F.gelu), ("relu", None, F.relu), ("gelu", "relu", F.relu), ("relu", "gelu", F.gelu)],
)
def test_the_design_may_ask_for_an_activation(
    sizes: Architecture, architecture: str, design: str | None, expected: Callable[[Tensor], Tensor]
) -> None:
    up = FeedForwardUp(
        Parts(evolve(sizes, activation=architecture), Design(activation=design)), f"{LAYER}.intermediate"
    )
    with torch.no_grad():
        up.get_parameter("dense.bias").copy_(torch.linspace(-2, 2, sizes.ffn))
    assert torch.equal(up(torch.zeros(1, sizes.hidden))[0], expected(torch.linspace(-2, 2, sizes.ffn)))


def test_a_layer_of_zeros_normalizes_its_input_twice(sizes: Architecture) -> None:
    layer = Layer(Parts(sizes, Design()), LAYER)
    x = torch.randn(2, 3, sizes.hidden)
    mask = additive_mask(torch.ones(2, 3, dtype=torch.bool), torch.float32)
    torch.testing.assert_close(layer(x, mask, {}), F.layer_norm(F.layer_norm(x, (16,), eps=1e-12), (16,), eps=1e-12))
