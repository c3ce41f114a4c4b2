from __future__ import annotations

import pytest
import torch

from bebertlab.nn.precision import integer_dtype, widened


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
    assert widened(x).dtype is wide
    assert widened(x).tolist() == [0.5, -2.0]


def test_what_is_wide_is_not_copied() -> None:
    x = torch.zeros(2)
    assert widened(x) is x


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_other_numbers_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=str(dtype)):
        widened(torch.zeros(2, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8])
def test_levels_get_the_smallest_dtype_that_holds_them(dtype: torch.dtype) -> None:
    limits = torch.iinfo(dtype)
    assert integer_dtype(limits.min, limits.max) is dtype
    assert integer_dtype(limits.min - 1, limits.max) is not dtype
    assert integer_dtype(limits.min, limits.max + 1) is not dtype
