from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bebertlab.api import Quantizer
from bebertlab.testing import check_quantizer
from bebertlab_baselines import ReactWeight
from bebertlab_baselines.groups import Granularity


@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("as_published", [True, False])
def test_keeps_the_quantizer_contract(granularity: Granularity, as_published: bool) -> None:
    check_quantizer(ReactWeight(granularity=granularity, as_published=as_published))


def test_each_row_has_its_scale() -> None:
    w = torch.tensor([[1.0, -3.0], [0.0, 0.5]])
    assert ReactWeight().build(w.shape)(w).tolist() == [[2.0, -2.0], [0.25, 0.25]]
    assert ReactWeight(granularity="tensor").build(w.shape)(w).tolist() == [[1.125, -1.125], [1.125, 1.125]]
    assert ReactWeight(as_published=True).build(w.shape)(w)[1].tolist() == [0.0, 0.25]


def test_the_gradient_passes_up_to_one(passed: Callable[[Quantizer, Tensor, Tensor], Tensor]) -> None:
    w = torch.tensor([[-1.5, -1.0, 0.0, 1.0, 1.5]])
    upstream = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]])
    assert passed(ReactWeight().build(w.shape), w, upstream).tolist() == [[0.0, 2.0, 4.0, 8.0, 0.0]]


@pytest.mark.slow
def test_compiles() -> None:
    check_quantizer(ReactWeight(), compiled=True)
