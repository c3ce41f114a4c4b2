from __future__ import annotations

import pytest
import torch

from bebertlab.testing import check_quantizer
from bebertlab_bibert import Bool


@pytest.mark.parametrize("as_in_paper", [False, True])
def test_keeps_the_quantizer_contract(as_in_paper: bool) -> None:
    check_quantizer(Bool(as_in_paper=as_in_paper))


@pytest.mark.parametrize("as_in_paper", [False, True])
def test_values_and_gradient_by_hand(as_in_paper: bool) -> None:
    x = torch.tensor([-10_000.0, -1.0, -0.125, 0.0, -0.0, 0.5, 1.0, 2.0], requires_grad=True)
    y = Bool(as_in_paper=as_in_paper).build(torch.Size([]))(x)
    y.sum().backward()
    edge = 1.0 if as_in_paper else 0.0
    assert y.tolist() == [0.0, 0.0, 0.0, edge, edge, 1.0, 1.0, 1.0]
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, edge, 1.0, 1.0, 1.0, 1.0, edge, 0.0]


@pytest.mark.slow
def test_compiles() -> None:
    check_quantizer(Bool(), compiled=True)
