from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.model.linear import Linear, QuantizedLinear
from bebertlab_binarybert.bwn import Bwn
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.uniform import Uniform

if TYPE_CHECKING:
    from tests.model.conftest import Rounding


def branches_of(layer: QuantizedLinear) -> list[Any]:
    return [*layer.branches]


def filled(layer: QuantizedLinear, seed: int = 0) -> QuantizedLinear:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "quantizer" not in name:
                parameter.normal_(generator=generator)
    return layer


def products(layer: nn.Module, x: torch.Tensor) -> int:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile, torch.no_grad():
        layer(x)
    return sum(event.count for event in profile.key_averages() if event.key in ("aten::addmm", "aten::addmm_"))


def test_a_new_linear_map_is_zero_and_draws_no_random_numbers() -> None:
    before = torch.random.get_rng_state()
    layer = Linear(3, 2)
    assert torch.equal(layer(torch.ones(1, 3)), torch.zeros(1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_output_matches_manual_calculation(rounding: type[Rounding]) -> None:
    layer = QuantizedLinear(1, 1, 2, rounding(step=0.5), rounding(step=1.0))
    with torch.no_grad():
        for branch, weight, bias in zip(branches_of(layer), (0.6, -1.1), (10.0, 20.0), strict=True):
            branch.weight.fill_(weight)  # quantized to 0.5 and -1.0
            branch.bias.fill_(bias)
    # x = 2.2 is quantized to 2: 2 * 0.5 + 10 + 2 * -1 + 20
    assert layer(torch.tensor([[2.2]])).item() == pytest.approx(29.0)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    outputs=st.integers(1, 5),
    branches=st.integers(1, 3),
    quantize_inputs=st.booleans(),
)
def test_branches_add_up(shape: list[int], outputs: int, branches: int, quantize_inputs: bool) -> None:
    inputs = 6
    activations = Uniform(bits=4) if quantize_inputs else None
    layer = filled(QuantizedLinear(inputs, outputs, branches, Bwn(), activations))
    x = torch.randn(*shape, inputs, generator=torch.Generator().manual_seed(2))
    expected = torch.zeros(*shape, outputs)
    for branch in branches_of(layer):
        quantized = branch.input_quantizer(x) if quantize_inputs else x
        expected += torch.nn.functional.linear(quantized, branch.weight_quantizer(branch.weight), branch.bias)
    torch.testing.assert_close(layer(x), expected)


def test_every_branch_gets_its_gradients(rounding: type[Rounding]) -> None:
    layer = filled(QuantizedLinear(3, 2, 2, rounding(), rounding()))
    x = torch.randn(4, 5, 3, requires_grad=True)
    layer(x).sum().backward()
    first, second = branches_of(layer)
    torch.testing.assert_close(first.bias.grad, torch.full((2,), 20.0))
    torch.testing.assert_close(second.bias.grad, first.bias.grad)
    assert torch.equal(first.weight.grad, second.weight.grad)  # same quantized input, same upstream gradient
    weights = [branch.weight_quantizer(branch.weight) for branch in branches_of(layer)]
    assert x.grad is not None
    torch.testing.assert_close(x.grad, sum(weights).sum(0).expand(4, 5, 3))


def test_without_input_quantizers_there_is_one_product(rounding: type[Rounding]) -> None:
    layer = filled(QuantizedLinear(3, 2, 4, rounding(), None))
    assert products(layer, torch.randn(5, 3)) == 1


@pytest.mark.parametrize(("scale", "expected"), [(0.1, 1), (9.0, 2)])
def test_branches_with_equal_inputs_share_one_product(scale: float, expected: int) -> None:
    layer = filled(QuantizedLinear(6, 4, 2, Bwn(), Uniform()))
    with torch.no_grad():
        branches_of(layer)[1].input_quantizer.clip.mul_(0.9)
    x = scale * torch.linspace(-1, 1, 18).view(3, 6)
    assert products(layer, x) == expected


def test_autocast_multiplies_in_its_dtype_and_adds_the_branches_in_place() -> None:
    layer = filled(QuantizedLinear(6, 4, 2, Bwn(), Uniform()))
    with torch.no_grad():
        branches_of(layer)[1].input_quantizer.clip.mul_(0.9)
    x = 9.0 * torch.linspace(-1, 1, 18).view(3, 6)
    expected = layer(x)
    expected.sum().backward()
    gradients = [parameter.grad for parameter in layer.parameters()]
    layer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.profiler.profile() as profiler:
        y = layer(x)
    y.sum().backward()
    assert [event.count for event in profiler.key_averages() if event.key == "aten::addmm_"] == [1]
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=2e-2, atol=2e-2)
    for parameter, gradient in zip(layer.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=2e-2, atol=2e-2)


def test_a_site_without_options_has_no_quantizer(rounding: type[Rounding]) -> None:
    assert QuantizedLinear(3, 2, 1, None, rounding()).branches[0].weight_quantizer is None
    assert not QuantizedLinear(3, 2, 1, rounding(), None).input_quantizers()
    layer = QuantizedLinear(3, 2, 1, rounding(), rounding())
    assert branches_of(layer)[0].weight_quantizer.shape == (2, 3)
    assert branches_of(layer)[0].input_quantizer.shape == (3,)


@pytest.mark.parametrize(
    "activations",
    [None, Uniform(symmetric=False), Uniform(granularity="row"), Lsq()],
    ids=["none", "tensor", "row", "lsq"],
)
@pytest.mark.parametrize("branches", [1, 2])
def test_the_first_token_alone_equals_that_of_the_full_output(
    branches: int, activations: QuantizerOptions | None
) -> None:
    layer = filled(QuantizedLinear(384, 192, branches, Bwn(), activations)).eval()
    if isinstance(activations, Uniform):
        with torch.no_grad():
            branches_of(layer)[-1].input_quantizer.clip.mul_(0.3)
    x = torch.randn(2, 3, 384, generator=torch.Generator().manual_seed(4))
    x[1, 2, 3] = 5.0  # no first token, but it widens the range
    with torch.no_grad():
        torch.testing.assert_close(layer(x, True), layer(x)[:, :1], rtol=1e-5, atol=1e-4)


def test_the_first_token_of_an_ordinary_linear_map() -> None:
    layer = Linear(3, 2)
    with torch.no_grad():
        layer.weight.normal_()
    x = torch.randn(4, 5, 3)
    torch.testing.assert_close(layer(x, True), layer(x)[:, :1])
