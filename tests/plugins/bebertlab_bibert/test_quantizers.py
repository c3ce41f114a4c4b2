from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.model.embedding import QuantizedEmbedding
from bebertlab.model.linear import QuantizedLinear
from bebertlab.testing import check_quantizer
from bebertlab_bibert import Bibert, Bool, Sign

if TYPE_CHECKING:
    from tests.conftest import Golden


@pytest.mark.parametrize("as_published", [False, True])
def test_keeps_the_quantizer_contract(as_published: bool) -> None:
    check_quantizer(Bibert(as_published=as_published))


def test_a_row_is_centred_and_scaled_by_its_original_mean() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [-4.0, 0.0, 1.0], [2.0, 2.0, 2.0]])
    levels = {False: [[-1, 1, 1], [-1, 1, 1], [1, 1, 1]], True: [[-1, 0, 1], [-1, 1, 1], [0, 0, 0]]}
    for as_published, expected in levels.items():
        codes = Bibert(as_published=as_published).build(x.shape).encode(x)
        assert codes.levels.tolist() == expected
        assert torch.allclose(codes.step, torch.tensor([[2.0], [5 / 3], [2.0]]))
        assert codes.bits == (2 if as_published else 1)


def test_the_gradient_is_clipped_at_1_and_then_centred() -> None:
    x = torch.tensor([[-1.0, 0.0, 0.5, 3.5, -3.0]], requires_grad=True)  # its mean is 0
    Bibert().build(x.shape)(x).backward(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]))
    assert x.grad is not None
    inside = torch.tensor([[1.0, 2.0, 3.0, 0.0, 0.0]])
    assert torch.allclose(x.grad, inside - inside.mean())


@given(st.integers(1, 5), st.integers(1, 9), st.sampled_from([0.01, 0.4, 1.0, 3.0]), st.integers(0, 2**31))
def test_the_gradient_is_that_of_the_published_expression(rows: int, columns: int, size: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = size * torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    upstream = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    actual, expected = x.clone().requires_grad_(), x.clone().requires_grad_()
    Bibert().build(x.shape)(actual).backward(upstream)
    torch.autograd.backward((expected - expected.mean(-1, keepdim=True)).clamp(-1, 1), upstream)
    assert torch.allclose(_gradient(actual), _gradient(expected), atol=1e-12)
    assert torch.allclose(_gradient(actual).sum(-1), torch.zeros(rows, dtype=torch.float64), atol=1e-12)


def test_linear_layers_equal_the_published_ones(golden: Callable[[str], Golden]) -> None:
    vectors = golden("quant_linear").of("BiBERT", "BEBERT/BiBERT")
    tolerance = vectors.meta["tolerance"]
    for case in vectors.cases:
        t = vectors.below(case["name"])
        assert (case.get("weight_bits", 1), case.get("input_bits", 1)) == (1, 1), case["name"]
        weights, (rows, width) = Bibert(as_published=True), t["weight"].shape
        if "ids" in t:
            layer: torch.nn.Module = QuantizedEmbedding(rows, width, 1, weights)
        else:
            layer = QuantizedLinear(width, rows, 1, weights, Sign(as_published=True))
        branch = layer.get_submodule("branches.0")
        with torch.no_grad():
            for name, parameter in branch.named_parameters():
                parameter.copy_(t[name])
        x = t["ids"] if "ids" in t else t["x"].clone().requires_grad_()
        y = layer(x)
        torch.autograd.backward(y, t["gout"])
        torch.testing.assert_close(y, t["out"], **tolerance["out"])
        if "qweight" in t:
            torch.testing.assert_close(weights.build(t["weight"].shape)(t["weight"]), t["qweight"], **tolerance["out"])
        leaves = dict(branch.named_parameters()) | {"x": x}
        stored = [key.removeprefix("grad_") for key in t if key.startswith("grad_")]
        assert stored
        for name in stored:
            torch.testing.assert_close(leaves[name].grad, t[f"grad_{name}"], **tolerance["grads"])


def test_only_the_rows_of_a_batch_are_needed() -> None:
    table = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    rows = torch.tensor([3, 3, 6])
    quantizer = Bibert().build(table.shape)
    assert quantizer.row_wise
    assert torch.equal(quantizer(table[rows]), F.embedding(rows, quantizer(table)))


def test_at_most_two_tensors_of_the_weights_size_live_at_once() -> None:
    x = torch.randn(256, 256).requires_grad_()
    quantizer = Bibert().build(x.shape)
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        quantizer(x).backward(torch.ones(256, 256))
    used = most = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            used += event.nbytes()
            most = max(most, used)
    # the result and the gradient of x, and one more at a time; the upstream gradient is the third of them
    assert most < 3.2 * x.nbytes


@pytest.mark.slow
def test_compiles() -> None:
    check_quantizer(Bibert(), compiled=True)


def _gradient(x: Tensor) -> Tensor:
    assert x.grad is not None
    return x.grad


EVERY = [
    {"strict": strict, "scaled": scaled, "as_published": as_published}
    for strict in (False, True)
    for scaled in (False, True)
    for as_published in (False, True)
]


@pytest.mark.parametrize("options", EVERY)
def test_sign_keeps_the_quantizer_contract(options: dict[str, bool]) -> None:
    check_quantizer(Sign(**options))


@pytest.mark.parametrize("options", EVERY)
def test_values_and_gradient_match_manual_calculation(options: dict[str, bool]) -> None:
    x = torch.tensor([[-9.0, -1.0, 0.0, 0.5, 1.0, 12.5]], requires_grad=True)
    y = Sign(**options).build(torch.Size([6]))(x)
    torch.autograd.backward(y, torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]))
    scale = 4.0 if options["scaled"] else 1.0  # the mean size
    zero = 0.0 if options["as_published"] else scale
    assert y.tolist() == [[-scale, -scale, zero, scale, scale, scale]]
    assert x.grad is not None
    edge = 0.0 if options["strict"] else 1.0
    assert x.grad.tolist() == [[0.0, 2 * edge, 3.0, 4.0, 5 * edge, 0.0]]


def test_the_scale_is_that_of_the_whole_tensor() -> None:
    x = torch.tensor([[1.0, -2.0], [3.0, 6.0]])
    assert Sign(scaled=True).build(torch.Size([2]))(x).tolist() == [[3.0, -3.0], [3.0, 3.0]]


def test_three_values_take_two_bits() -> None:
    x = torch.tensor([-2.0, 0.0, -0.0, 3.0])
    for as_published, bits, levels in ((False, 1, [-1, 1, 1, 1]), (True, 2, [-1, 0, 0, 1])):
        quantizer = Sign(as_published=as_published).build(x.shape)
        codes = quantizer.encode(x)
        assert (quantizer.bits, codes.bits, codes.levels.tolist()) == (bits, bits, levels)


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=12), st.booleans())
def test_the_factors_are_signs_and_one_scale(values: list[float], as_published: bool) -> None:
    x = torch.tensor([values])
    signs, scale = Sign(scaled=True, as_published=as_published).build(torch.Size([len(values)])).forward_unscaled(x)
    assert set(signs.flatten().tolist()) <= ({-1, 0, 1} if as_published else {-1, 1})
    assert scale is not None
    assert torch.isclose(scale, x.abs().mean())


@pytest.mark.slow
@pytest.mark.parametrize("scaled", [False, True])
def test_sign_compiles(scaled: bool) -> None:
    check_quantizer(Sign(scaled=scaled), compiled=True)


def test_factors_pass_a_finite_gradient_of_the_product() -> None:
    quantizer = Sign(scaled=True).build(torch.Size([3]))
    for numbers, expected in (([0.5, -0.5, 2.0], [3.0, 3.0, 0.0]), ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])):
        x = torch.tensor(numbers, requires_grad=True)
        values, scale = quantizer.forward_unscaled(x)
        assert scale is not None
        torch.autograd.backward(values * scale, torch.full((3,), 3.0))
        assert x.grad is not None
        assert x.grad.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("as_in_paper", [False, True])
def test_boolean_keeps_the_quantizer_contract(as_in_paper: bool) -> None:
    check_quantizer(Bool(as_in_paper=as_in_paper))


@pytest.mark.parametrize("as_in_paper", [False, True])
def test_boolean_values_and_gradient_match_manual_calculation(as_in_paper: bool) -> None:
    x = torch.tensor([-10_000.0, -1.0, -0.125, 0.0, -0.0, 0.5, 1.0, 2.0], requires_grad=True)
    y = Bool(as_in_paper=as_in_paper).build(torch.Size([]))(x)
    y.sum().backward()
    edge = 1.0 if as_in_paper else 0.0
    assert y.tolist() == [0.0, 0.0, 0.0, edge, edge, 1.0, 1.0, 1.0]
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, edge, 1.0, 1.0, 1.0, 1.0, edge, 0.0]


@pytest.mark.slow
def test_boolean_compiles() -> None:
    check_quantizer(Bool(), compiled=True)


def test_zero_is_the_threshold_of_signs_without_a_scale() -> None:
    threshold = Sign(strict=True).build(torch.Size([3])).binary_threshold()
    assert threshold is not None
    assert threshold.shift is None
    assert threshold.inclusive
    assert Sign(scaled=True).build(torch.Size([3])).binary_threshold() is None
    assert Sign(as_published=True).build(torch.Size([3])).binary_threshold() is None


@pytest.mark.parametrize("as_in_paper", [False, True])
def test_a_score_of_zero_is_selected_as_in_the_paper(as_in_paper: bool) -> None:
    quantizer = Bool(as_in_paper=as_in_paper).build(torch.Size([]))
    assert quantizer.binary_threshold().inclusive == as_in_paper
