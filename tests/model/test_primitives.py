from __future__ import annotations

import pytest
import torch

from bebertlab.model.primitives import (
    at_least_float32,
    clipped_ste,
    group_max,
    group_mean,
    group_size,
    group_sum,
    integer_dtype,
    mask_gradient,
    sign,
    straight_through,
)


def test_the_value_is_exact_and_the_gradient_passes() -> None:
    x = torch.tensor([1e8, -0.3], requires_grad=True)
    value = torch.tensor([0.1, 0.7])
    y = straight_through(value, x)
    assert torch.equal(y, value)
    torch.autograd.backward(y, torch.tensor([2.0, 3.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 3.0]


def test_no_gradient_passes_through_the_value() -> None:
    w, x = (torch.ones(2, requires_grad=True) for _ in range(2))
    torch.autograd.backward(straight_through(3 * w, x).sum())
    assert w.grad is None


def test_the_gradient_follows_the_inputs_of_x() -> None:
    w = torch.tensor([0.5, 2.0], requires_grad=True)
    torch.autograd.backward(straight_through(w.sign(), w.clamp(-1, 1)).sum())
    assert w.grad is not None
    assert w.grad.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_sign_has_no_zero(dtype: torch.dtype) -> None:
    x = torch.tensor([-1e-30, -0.0, 0.0, 1e-30, -5.0, float("inf")], dtype=dtype)
    assert sign(x).tolist() == [-1.0, 1.0, 1.0, 1.0, -1.0, 1.0]
    assert sign(x).dtype == dtype
    output = x.clone()
    assert sign(output, out=output) is output
    assert torch.equal(output, sign(x))


DTYPES = [torch.float32, torch.float64, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("end", [1.0, 7.0])
def test_window_ends_are_inclusive_unless_strict(dtype: torch.dtype, strict: bool, end: float) -> None:
    last = torch.tensor(end, dtype=dtype)
    beyond, before = last * (1 + torch.finfo(dtype).eps), last * (1 - torch.finfo(dtype).eps)
    x = torch.stack([-beyond, -last, -before, 0 * last, before, last, beyond]).requires_grad_()
    value = torch.arange(7.0).to(dtype)
    y = clipped_ste(value, x, -end, end, strict=strict)
    assert torch.equal(y, value)
    torch.autograd.backward(y, torch.tensor([1, 2, 4, 8, 16, 32, 64], dtype=dtype))
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0 if strict else 2, 4, 8, 16, 0 if strict else 32, 0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_end_may_be_zero(dtype: torch.dtype) -> None:
    x = torch.tensor([-1e-30, -0.0, 0.0, 1e-30], dtype=dtype)
    ones = torch.ones_like(x)
    assert mask_gradient(ones, x, 0, 1).tolist() == [0, 1, 1, 1]
    assert mask_gradient(ones, x, -1, 0).tolist() == [1, 1, 1, 0]
    assert mask_gradient(ones, x, 0, 1, strict=True).tolist() == [0, 0, 0, 1]


def test_nan_is_inside_as_in_the_kernel() -> None:
    assert mask_gradient(torch.ones(1), torch.tensor([torch.nan]), -1, 1).tolist() == [1.0]


def test_the_memory_of_another_tensor_can_be_used() -> None:
    x = torch.tensor([-2.0, 0.5])
    assert mask_gradient(torch.tensor([3.0, 4.0]), x, -1, 1, out=x) is x
    assert x.tolist() == [0.0, 4.0]


@pytest.mark.parametrize("strict", [False, True])
def test_a_compiler_gets_the_same_numbers(strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.linspace(-2, 2, 9)
    plain = mask_gradient(x, x, -1, 1, strict=strict)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(mask_gradient(x, x, -1, 1, strict=strict), plain)


@pytest.mark.parametrize(
    ("dtype", "wide"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_becomes_single(dtype: torch.dtype, wide: torch.dtype) -> None:
    x = torch.tensor([0.5, -2.0], dtype=dtype)
    assert at_least_float32(x).dtype is wide
    assert at_least_float32(x).tolist() == [0.5, -2.0]


def test_wide_tensors_are_not_copied() -> None:
    x = torch.zeros(2)
    assert at_least_float32(x) is x


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_other_numbers_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=str(dtype)):
        at_least_float32(torch.zeros(2, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8])
def test_levels_get_the_smallest_dtype_that_represents_them(dtype: torch.dtype) -> None:
    limits = torch.iinfo(dtype)
    assert integer_dtype(limits.min, limits.max) is dtype
    assert integer_dtype(limits.min - 1, limits.max) is not dtype
    assert integer_dtype(limits.min, limits.max + 1) is not dtype


def test_zero_counts_as_positive_unless_kept() -> None:
    x = torch.tensor([-0.5, -0.0, 0.0, 2.0])
    assert sign(x).tolist() == [-1.0, 1.0, 1.0, 1.0]
    assert sign(x, keep_zero=True).tolist() == [-1.0, 0.0, 0.0, 1.0]
    memory = torch.empty(4)
    assert sign(x, keep_zero=True, out=memory) is memory


GROUPS = torch.tensor([[1.0, 3.0], [5.0, 7.0]])


def test_a_row_is_the_last_dimension() -> None:
    assert group_mean(GROUPS, "row").tolist() == [[2.0], [6.0]]
    assert group_max(GROUPS, "row").tolist() == [[3.0], [7.0]]
    assert group_sum(GROUPS[None], "row").tolist() == [[[4.0], [12.0]]]
    assert group_size(GROUPS, "row") == 2


def test_a_tensor_is_one_group() -> None:
    assert group_mean(GROUPS, "tensor").item() == 4.0
    assert group_max(GROUPS, "tensor").item() == 7.0
    assert group_sum(GROUPS, "tensor").item() == 16.0
    assert group_size(GROUPS, "tensor") == 4
