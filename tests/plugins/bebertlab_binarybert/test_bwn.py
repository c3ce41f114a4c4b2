from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.model.primitives import Granularity
from bebertlab.testing import check_quantizer
from bebertlab_binarybert import Bwn


@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("published", [False, True])
def test_keeps_the_quantizer_contract(granularity: Granularity, published: bool) -> None:
    check_quantizer(Bwn(granularity=granularity, as_published=published))


def test_a_row_has_its_own_scale() -> None:
    x = torch.tensor([[1.0, -3.0], [0.5, 0.0]])
    assert Bwn(granularity="row").build(x.shape)(x).tolist() == [[2.0, -2.0], [0.25, 0.25]]
    assert Bwn().build(x.shape)(x).tolist() == [[1.125, -1.125], [1.125, 1.125]]


def test_zero_of_either_sign_counts_as_plus_one() -> None:
    x = torch.tensor([[0.0, -0.0, -1.0]])
    assert Bwn().build(x.shape).encode(x).levels.tolist() == [[1, 1, -1]]


def test_as_published_zero_is_a_third_value_and_takes_two_bits() -> None:
    x = torch.tensor([[0.0, -0.0, -3.0]])
    codes = Bwn(as_published=True).build(x.shape).encode(x)
    assert codes.levels.tolist() == [[0, 0, -1]]
    assert codes.decode().tolist() == [[0.0, 0.0, -1.0]]
    assert (codes.bits, Bwn().build(x.shape).bits) == (2, 1)


@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_the_gradient_passes_unchanged_and_the_scale_has_none(granularity: Granularity) -> None:
    x = torch.tensor([[-50.0, -1.0, 0.0, 0.3, 50.0]], requires_grad=True)
    upstream = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]])
    Bwn(granularity=granularity).build(x.shape)(x).backward(upstream)
    assert x.grad is not None
    assert torch.equal(x.grad, upstream)


@given(st.lists(st.floats(-4, 4, width=32), min_size=2, max_size=20))
def test_the_scale_is_the_least_squares_one(values: list[float]) -> None:
    x = torch.tensor([values], dtype=torch.float64)
    codes = Bwn().build(x.shape).encode(x)

    def error(step: torch.Tensor) -> float:
        return float((x - codes.levels * step).square().sum())

    assert error(codes.step) <= min(error(codes.step * 1.01), error(codes.step * 0.99)) + 1e-12


def test_another_granularity_is_refused() -> None:
    with pytest.raises(ValueError, match="granularity"):
        Bwn(granularity="column")  # type: ignore[arg-type]


@pytest.mark.slow
def test_compiles() -> None:
    check_quantizer(Bwn(), compiled=True)
