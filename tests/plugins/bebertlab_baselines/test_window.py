from __future__ import annotations

import pytest
import torch

from bebertlab_baselines.window import windowed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_both_ends_are_inside(dtype: torch.dtype) -> None:
    x = torch.tensor([-1.01, -1.0, 0.0, 1.0, 1.01], dtype=dtype, requires_grad=True)
    value = torch.arange(5.0).to(dtype)
    y = windowed(value, x, -1.0, 1.0)
    assert torch.equal(y, value)
    torch.autograd.backward(y, torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0], dtype=dtype))
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 2.0, 4.0, 8.0, 0.0]


def test_the_number_next_to_an_end_is_outside() -> None:
    x = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)).requires_grad_()
    torch.autograd.backward(windowed(torch.tensor(1.0), x, 0.0, 1.0))
    assert x.grad == 0.0
