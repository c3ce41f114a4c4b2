from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bebertlab.inference.modules import (
    CastLinear,
    ExactLayerNorm,
    FixedBranch,
    FixedEmbedding,
    FixedLinear,
    IntegerLinear,
    fixed_linear,
)
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.model.embedding import EmbeddingBranch
from bebertlab.model.linear import Linear, QuantizedLinear
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.uniform import Uniform
from tests.model.test_linear import branches_of, filled, products


@torch.no_grad()
def fixed(layer: QuantizedLinear, *, exact: bool = False, dtype: torch.dtype | None = None) -> Any:  # noqa: ANN401
    return fixed_linear([FixedBranch.of(branch, exact=exact) for branch in branches_of(layer.eval())], dtype)


@pytest.mark.parametrize(("scale", "expected"), [(0.1, 1), (9.0, 2)])
def test_branches_with_equal_inputs_share_one_product(scale: float, expected: int) -> None:
    layer = filled(QuantizedLinear(6, 4, 2, Bwn(), Uniform()))
    with torch.no_grad():
        branches_of(layer)[1].input_quantizer.clip.mul_(0.9)
    x = scale * torch.linspace(-1, 1, 18).view(3, 6)
    prepared = fixed(layer)
    assert products(prepared, x) == expected
    with torch.no_grad():
        torch.testing.assert_close(prepared(x), layer(x))


@pytest.mark.parametrize("inputs", [None, Uniform()])
@pytest.mark.parametrize("branches", [1, 2])
def test_weights_can_be_converted(inputs: Uniform | None, branches: int) -> None:
    layer = filled(QuantizedLinear(6, 4, branches, Bwn(), inputs))
    prepared = fixed(layer, dtype=torch.bfloat16)
    x = torch.linspace(-1, 1, 18).view(3, 6)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert prepared(x).dtype == torch.bfloat16
        torch.testing.assert_close(prepared(x).float(), layer(x).float(), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("branches", [1, 2, 3])
@pytest.mark.parametrize("inputs", [6, 384])
def test_products_can_be_of_integers(inputs: int, branches: int, symmetric: bool) -> None:
    layer = filled(QuantizedLinear(inputs, 192, branches, Bwn(), Uniform(symmetric=symmetric)))
    with torch.no_grad():
        branches_of(layer)[-1].input_quantizer.clip.mul_(0.5)
    x = 2 * torch.randn(2, 3, inputs, generator=torch.Generator().manual_seed(3))
    prepared = fixed(layer, exact=True)
    assert isinstance(prepared, IntegerLinear)
    with torch.no_grad():
        torch.testing.assert_close(prepared(x), layer(x), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("weights", "activations"),
    [(Uniform(symmetric=False), Uniform()), (Bwn(), None), (None, Uniform())],
)
def test_weights_without_levels_or_with_offsets_are_multiplied_as_floats(
    weights: QuantizerOptions | None, activations: QuantizerOptions | None
) -> None:
    layer = filled(QuantizedLinear(384, 192, 2, weights, activations))
    assert isinstance(fixed(layer, exact=True), FixedLinear)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    "activations",
    [None, Uniform(symmetric=False), Uniform(granularity="row"), Lsq()],
    ids=["none", "tensor", "row", "lsq"],
)
@pytest.mark.parametrize("branches", [1, 2])
@torch.no_grad()
def test_the_first_token_alone_gets_what_it_gets_among_all(
    branches: int, activations: QuantizerOptions | None, exact: bool
) -> None:
    layer = filled(QuantizedLinear(384, 192, branches, Bwn(), activations))
    if isinstance(activations, Uniform):
        branches_of(layer)[-1].input_quantizer.clip.mul_(0.3)
    x = with_outlier(torch.randn(2, 3, 384, generator=torch.Generator().manual_seed(4)))
    prepared = fixed(layer, exact=exact)
    torch.testing.assert_close(prepared(x, True), prepared(x)[:, :1], rtol=1e-5, atol=1e-4)


def with_outlier(x: Tensor) -> Tensor:
    """x with a value that widens the range, not in a first token."""
    x[1, 2, 3] = 5.0
    return x


@torch.no_grad()
def test_an_ordinary_linear_map_is_converted() -> None:
    layer = Linear(3, 2)
    layer.weight.normal_()
    prepared, x = CastLinear(layer, torch.bfloat16), torch.randn(4, 5, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(prepared(x), layer(x))
        assert prepared(x, True).shape == (4, 1, 2)


@torch.no_grad()
def test_a_table_that_is_quantized_as_a_whole_is_quantized_once() -> None:
    branch = EmbeddingBranch(9, 4, Bwn())
    branch.weight.normal_()
    tokens = torch.tensor([[5, 3, 5], [1, 0, 0]])
    prepared = FixedEmbedding(branch)
    expected = branch(tokens)
    branch.weight.zero_()
    assert torch.equal(prepared(tokens), expected)


def test_a_layer_norm_is_the_same_for_any_order_of_its_elements() -> None:
    generator = torch.Generator().manual_seed(0)
    norm = nn.LayerNorm(768, eps=1e-12)
    x = torch.randn(64, 768, generator=generator)
    x[:, 5] += 40.0  # an outlier channel
    x[7] = 0.0
    order = torch.randperm(768, generator=generator)
    with torch.no_grad():
        exact, expected = ExactLayerNorm.of(norm), norm(x.double().to(torch.float32))
        torch.testing.assert_close(exact(x), expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(exact(x)[:, order], exact(x[:, order]))
        assert not torch.equal(norm(x)[:, order], norm(x[:, order]))  # torch's depends on it
