from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.model.primitives import Granularity
from bebertlab.testing import check_quantizer
from bebertlab_binarybert import Bwn, Laq


@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12])
def test_keeps_the_quantizer_contract(granularity: Granularity, bits: int) -> None:
    check_quantizer(Laq(bits=bits, granularity=granularity))


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=20))
def test_one_bit_is_the_sign_times_the_mean_magnitude(row: list[float]) -> None:
    x = torch.tensor([row])
    for published in (False, True):
        mine, other = Laq(bits=1, as_published=published), Bwn(as_published=published)
        assert torch.equal(mine.build(x.shape)(x), other.build(x.shape)(x))


def test_two_bits_match_manual_calculation() -> None:
    # scales 1.3, then mean(3, 1) = 2 as 0.6 < 1.3 / 2, then the same: 1 is half of 2 and rounds to even, so out
    x = torch.tensor([[3.0, -1.0, 0.6, 0.6]])
    assert Laq().build(x.shape).encode(x).levels.tolist() == [[1, 0, 0, 0]]
    assert Laq().build(x.shape)(x).tolist() == [[3.0, 0.0, 0.0, 0.0]]


def slowly(x: Tensor, turns: int) -> int:
    """How many weights are not 0 with two bits, `turns` after the first one, in plain numbers."""
    sizes = x.flatten().tolist()
    b = [1.0] * len(sizes)
    for _ in range(turns + 1):
        a = sum(v * w for v, w in zip(b, sizes, strict=True)) / sum(b)
        b = [float(round(min(w / a, 1.0))) for w in sizes]
    return int(sum(b))


def test_there_are_always_eleven_iterations() -> None:
    # magnitudes of an exponential distribution: each iteration halves the distance of the threshold to 1
    x = -torch.linspace(1, 0, 10002, dtype=torch.float64)[1:-1].log()[None]
    actual = int(Laq().build(x.shape).encode(x).levels.sum())
    assert slowly(x, 9) > actual == slowly(x, 10) > slowly(x, 11)


@given(st.lists(st.floats(-4, 4, width=32), min_size=2, max_size=12), st.integers(2, 8))
def test_the_scale_fits_the_converged_levels(row: list[float], bits: int) -> None:
    x = torch.tensor([row], dtype=torch.float64)
    codes = Laq(bits=bits).build(x.shape).encode(x)
    assert codes.levels.abs().max() <= 2 ** (bits - 1) - 1
    assert (codes.levels * x >= 0).all()
    largest = x.abs().max()
    assert codes.decode().abs().max() <= largest * (1 + 1e-9)


def test_a_row_has_its_own_scale() -> None:
    x = torch.tensor([[3.0, -1.0, 0.6, 0.6], [0.0, 0.0, 0.0, 0.0]])
    assert Laq(granularity="row").build(x.shape)(x).tolist() == [[3.0, 0.0, 0.0, 0.0], [0.0] * 4]
    assert Laq(granularity="row", as_published=True).build(x.shape)(x)[1].isnan().all()


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_the_gradient_passes_unchanged(bits: int) -> None:
    x = torch.tensor([[-9.0, 0.0, 0.3]], requires_grad=True)
    upstream = torch.tensor([[1.0, 2.0, -3.0]])
    Laq(bits=bits).build(x.shape)(x).backward(upstream)
    assert x.grad is not None
    assert torch.equal(x.grad, upstream)


@pytest.mark.parametrize("options", [{"bits": 0}, {"bits": 17}, {"granularity": "column"}])
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Laq(**options)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [1, 4])
def test_compiles(bits: int) -> None:
    check_quantizer(Laq(bits=bits, granularity="row"), compiled=True)
