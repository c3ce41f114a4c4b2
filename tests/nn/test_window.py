from __future__ import annotations

import pytest
import torch

from bebertlab.nn.window import windowed, within

DTYPES = [torch.float32, torch.float64, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("end", [1.0, 7.0])
def test_the_ends_are_inside_unless_strict(dtype: torch.dtype, strict: bool, end: float) -> None:
    last = torch.tensor(end, dtype=dtype)
    beyond, before = last * (1 + torch.finfo(dtype).eps), last * (1 - torch.finfo(dtype).eps)
    x = torch.stack([-beyond, -last, -before, 0 * last, before, last, beyond]).requires_grad_()
    value = torch.arange(7.0).to(dtype)
    y = windowed(value, x, -end, end, strict=strict)
    assert torch.equal(y, value)
    torch.autograd.backward(y, torch.tensor([1, 2, 4, 8, 16, 32, 64], dtype=dtype))
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0 if strict else 2, 4, 8, 16, 0 if strict else 32, 0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_end_may_be_zero(dtype: torch.dtype) -> None:
    x = torch.tensor([-1e-30, -0.0, 0.0, 1e-30], dtype=dtype)
    ones = torch.ones_like(x)
    assert within(ones, x, 0, 1).tolist() == [0, 1, 1, 1]
    assert within(ones, x, -1, 0).tolist() == [1, 1, 1, 0]
    assert within(ones, x, 0, 1, strict=True).tolist() == [0, 0, 0, 1]


def test_what_is_no_number_is_inside_as_the_kernel_has_it() -> None:
    assert within(torch.ones(1), torch.tensor([torch.nan]), -1, 1).tolist() == [1.0]


def test_the_memory_of_another_tensor_can_be_used() -> None:
    x = torch.tensor([-2.0, 0.5])
    assert within(torch.tensor([3.0, 4.0]), x, -1, 1, out=x) is x
    assert x.tolist() == [0.0, 4.0]


@pytest.mark.parametrize("strict", [False, True])
def test_a_compiler_gets_the_same_numbers(strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.linspace(-2, 2, 9)
    plain = within(x, x, -1, 1, strict=strict)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(within(x, x, -1, 1, strict=strict), plain)
