from __future__ import annotations

import pytest
import torch

from bebertlab_bibert.window import limit, windowed

DTYPES = [torch.float32, torch.float64, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("strict", [False, True])
def test_the_boundary_passes_unless_strict(dtype: torch.dtype, strict: bool) -> None:
    end = torch.tensor(1.0, dtype=dtype)
    beyond, before = end * (1 + torch.finfo(dtype).eps), end * (1 - torch.finfo(dtype).eps)
    x = torch.stack([-beyond, -end, -before, 0 * end, before, end, beyond]).requires_grad_()
    torch.autograd.backward(windowed(torch.ones_like(x), x, strict).sum())
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0 if strict else 1, 1, 1, 1, 0 if strict else 1, 0]
    assert limit(strict, dtype) == (1.0 if strict else float(beyond))


def test_the_gradient_is_divided_by_the_scale_and_stays_finite() -> None:
    x = torch.tensor([0.5, 2.0], requires_grad=True)
    upstream = torch.tensor([3.0, 3.0])
    torch.autograd.backward(windowed(x.sign(), x, False, torch.tensor(2.0)), upstream)
    assert x.grad is not None
    assert x.grad.tolist() == [1.5, 0.0]
    x.grad.zero_()
    torch.autograd.backward(windowed(x.sign(), x, False, torch.tensor(0.0)), 0.0 * upstream)
    assert x.grad.tolist() == [0.0, 0.0]
