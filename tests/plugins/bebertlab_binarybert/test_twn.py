from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.model.primitives import Granularity
from bebertlab.testing import check_quantizer
from bebertlab_binarybert import Twn

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_keeps_the_quantizer_contract(granularity: Granularity, clip: float | None) -> None:
    check_quantizer(Twn(granularity=granularity, clip=clip))


def test_the_threshold_is_exclusive() -> None:
    x = torch.tensor([[1.0, 1.0, 0.5, -1.5]])  # the mean size is 1
    assert Twn(threshold=0.5).build(x.shape).encode(x).levels.tolist() == [[1, 1, 0, -1]]


def test_a_row_has_its_own_threshold_and_scale() -> None:
    x = torch.tensor([[10.0, -20.0, 1.0], [0.1, -0.2, 0.01]])
    y = Twn(granularity="row").build(x.shape)(x)
    assert torch.allclose(y, torch.tensor([[15.0, -15.0, 0.0], [0.15, -0.15, 0.0]]))
    assert Twn().build(x.shape)(x)[1].tolist() == [0.0, 0.0, 0.0]


def test_no_gradient_passes_beyond_the_clip() -> None:
    x = torch.tensor([[-1.5, -1.0, 0.5, 1.0, 2.0]], requires_grad=True)
    y = Twn(clip=1.0).build(x.shape)(x)
    assert y.abs().max() == 1.0
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 0.0, 1.0, 0.0, 0.0]]


@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_without_a_clip_the_gradient_passes_unchanged(granularity: Granularity) -> None:
    x = torch.tensor([[-50.0, -1.0, 0.0, 0.3, 50.0]], requires_grad=True)
    upstream = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]])
    Twn(granularity=granularity).build(x.shape)(x).backward(upstream)
    assert x.grad is not None
    assert torch.equal(x.grad, upstream)


def test_as_published_a_row_of_zeros_has_no_scale() -> None:
    x = torch.tensor([[1.0, -3.0], [0.0, 0.0]])
    quantizer = Twn(granularity="row", as_published=True).build(x.shape)
    assert quantizer(x)[0].tolist() == [0.0, -3.0]
    assert quantizer(x)[1].isnan().all()
    assert quantizer.encode(x).decode()[1].isnan().all()
    assert Twn(granularity="row").build(x.shape)(x)[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("options", [{"granularity": "column"}, {"clip": 0.0}])
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Twn(**options)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.7])
def test_a_threshold_that_may_select_all_or_no_weights_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        Twn(threshold=threshold)


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=20))
def test_large_weights_become_their_mean_magnitude(values: list[float]) -> None:
    x = torch.tensor([values], dtype=torch.float64)
    y = Twn().build(x.shape)(x)
    large = x.abs() > 0.7 * x.abs().mean()
    expected = float(x[large].abs().mean()) if large.any() else 0.0
    assert torch.allclose(y, torch.where(large, x.sign() * expected, 0.0))


@pytest.mark.slow
def test_compiles() -> None:
    check_quantizer(Twn(granularity="row", clip=1.0), compiled=True)
