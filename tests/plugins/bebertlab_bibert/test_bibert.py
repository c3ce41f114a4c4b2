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
from bebertlab_bibert import Bibert, Sign

if TYPE_CHECKING:
    from tests.conftest import Golden


@pytest.mark.parametrize("as_published", [False, True])
def test_keeps_the_quantizer_contract(as_published: bool) -> None:
    check_quantizer(Bibert(as_published=as_published), activations=False)


def test_a_row_is_centred_and_scaled_by_what_it_was() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [-4.0, 0.0, 1.0], [2.0, 2.0, 2.0]])
    levels = {False: [[-1, 1, 1], [-1, 1, 1], [1, 1, 1]], True: [[-1, 0, 1], [-1, 1, 1], [0, 0, 0]]}
    for as_published, wanted in levels.items():
        codes = Bibert(as_published=as_published).build(x.shape).encode(x)
        assert codes.levels.tolist() == wanted
        assert torch.allclose(codes.step, torch.tensor([[2.0], [5 / 3], [2.0]]))
        assert codes.bits == (2 if as_published else 1)


def test_the_gradient_is_cut_off_beyond_one_and_then_centred() -> None:
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
    found, wanted = x.clone().requires_grad_(), x.clone().requires_grad_()
    Bibert().build(x.shape)(found).backward(upstream)
    torch.autograd.backward((wanted - wanted.mean(-1, keepdim=True)).clamp(-1, 1), upstream)
    assert torch.allclose(_gradient(found), _gradient(wanted), atol=1e-12)
    assert torch.allclose(_gradient(found).sum(-1), torch.zeros(rows, dtype=torch.float64), atol=1e-12)


def test_published_layers(golden: Callable[[str], Golden]) -> None:
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
    check_quantizer(Bibert(), activations=False, compiled=True)


def _gradient(x: Tensor) -> Tensor:
    assert x.grad is not None
    return x.grad
