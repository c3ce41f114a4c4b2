from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.model.embedding import QuantizedEmbedding
from bebertlab.testing import check_quantizer
from bebertlab_bit import CentredSign

Granularity = Literal["tensor", "row"]
X = torch.tensor([[1.0, -3.0, 0.5], [4.0, 0.0, 0.5]])  # its mean is 0.5


@pytest.mark.parametrize("as_published", [False, True])
@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_keeps_the_quantizer_contract(granularity: Granularity, as_published: bool) -> None:
    check_quantizer(CentredSign(granularity=granularity, as_published=as_published))


def test_keeps_the_contract_with_a_shift() -> None:
    check_quantizer(CentredSign(shift=True))


def test_the_mean_is_of_the_whole_and_the_scale_of_the_group() -> None:
    assert CentredSign().build(X.shape)(X).tolist() == [[1.5, -1.5, 1.5], [1.5, -1.5, 1.5]]
    assert CentredSign(granularity="row").build(X.shape)(X).tolist() == [[1.5, -1.5, 1.5], [1.5, -1.5, 1.5]]
    skewed = torch.tensor([[1.0, 3.0], [-2.0, 0.0]])
    assert CentredSign(granularity="row").build(X.shape)(skewed).tolist() == [[2.0, 2.0], [-1.0, -1.0]]


def test_what_lies_on_the_mean_counts_as_plus_one_or_is_a_third_value() -> None:
    assert CentredSign().build(X.shape).encode(X).levels[:, 2].tolist() == [1, 1]
    published = CentredSign(as_published=True).build(X.shape)
    assert published.encode(X).levels[:, 2].tolist() == [0, 0]
    assert (CentredSign().build(X.shape).bits, published.bits) == (1, 2)


def test_the_shift_is_added_first_and_learns_as_a_bias() -> None:
    quantizer = CentredSign(shift=True).build(X.shape)
    assert quantizer.shift is not None
    (group,) = quantizer.parameter_groups()
    assert group.no_decay_group
    assert group.parameters[0] is quantizer.shift
    assert quantizer.transferable_state == {"shift"}
    with torch.no_grad():
        quantizer.shift.copy_(torch.tensor([0.0, 9.0, 0.0]))
    y = quantizer(X)
    torch.testing.assert_close(y, CentredSign().build(X.shape)(X + torch.tensor([0.0, 9.0, 0.0])))
    y.backward(X)
    torch.testing.assert_close(quantizer.shift.grad, X.sum(0))


@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_the_gradient_passes_unchanged_and_neither_mean_nor_scale_has_one(granularity: Granularity) -> None:
    x = torch.tensor([[-50.0, -1.0, 0.0, 0.3, 60.0]], requires_grad=True)
    upstream = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]])
    CentredSign(granularity=granularity).build(x.shape)(x).backward(upstream)
    assert x.grad is not None
    assert torch.equal(x.grad, upstream)


def test_without_a_shift_nothing_is_learned() -> None:
    quantizer = CentredSign().build(X.shape)
    assert not quantizer.parameter_groups()
    assert not quantizer.state_dict()


@given(
    st.lists(st.lists(st.floats(-4, 4, width=32), min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from(["tensor", "row"]),
)
def test_adding_a_constant_moves_no_sign(rows: list[list[float]], granularity: Granularity) -> None:
    x = torch.tensor(rows, dtype=torch.float64)
    quantizer = CentredSign(granularity=granularity).build(x.shape)
    levels, moved = quantizer.encode(x).levels, quantizer.encode(x + 0.75).levels
    clear = (x - x.mean()).abs() > 1e-9
    assert torch.equal(levels[clear], moved[clear])
    magnitude = x.abs().mean(1, keepdim=True) if granularity == "row" else x.abs().mean()
    torch.testing.assert_close(quantizer(x).abs(), magnitude.expand_as(x))


def test_an_embedding_computes_rows_of_the_batch_and_one_mean_of_the_table() -> None:
    embedding = QuantizedEmbedding(1000, 8, 1, CentredSign(granularity="row"))
    weight = next(embedding.parameters())
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) + 0.3)
    sizes: list[int] = []

    class Counting(torch.overrides.TorchFunctionMode):
        """Notes the size of every tensor that is made."""

        def __torch_function__(
            self,
            function: Callable[..., Any],
            types: Any,  # noqa: ANN401 - torch's own types
            args: Any = (),  # noqa: ANN401
            kwargs: Any = None,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            made = function(*args, **(kwargs or {}))
            if isinstance(made, Tensor) and made.data_ptr() != weight.data_ptr():
                sizes.append(made.numel())
            return made

    tokens = torch.tensor([[5, 3, 5], [1, 7, 0]])
    with Counting():
        y = embedding(tokens)
    assert max(sizes) == tokens.numel() * 8
    whole = CentredSign(granularity="row").build(weight.shape)(weight)
    assert torch.equal(y, whole[tokens])


@pytest.mark.slow
@pytest.mark.parametrize("options", [CentredSign(), CentredSign(granularity="row", as_published=True)])
def test_compiles(options: CentredSign) -> None:
    check_quantizer(options, compiled=True)
