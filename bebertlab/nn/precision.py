"""Numbers fine enough to find levels, and wide enough to hold them."""

from __future__ import annotations

import torch
from torch import Tensor


def widened(x: Tensor) -> Tensor:
    """x in single precision or better: half precision holds the levels of 8 bits, but is too coarse to find them.

    Raises:
        TypeError: x has no floating-point numbers; what a quantizer makes of whole ones would be rounded again.

    >>> widened(torch.zeros(2, dtype=torch.bfloat16)).dtype, widened(torch.zeros(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    if x.dtype is torch.float32:
        return x
    if not x.is_floating_point():
        raise TypeError(f"floating-point numbers can be quantized, {x.dtype} cannot")
    return x.to(torch.promote_types(x.dtype, torch.float32))


def integer_dtype(low: int, high: int) -> torch.dtype:
    """The smallest dtype for levels from low to high; bytes are what a prediction multiplies fastest.

    >>> integer_dtype(-127, 127), integer_dtype(0, 255), integer_dtype(-128, 255)
    (torch.int8, torch.uint8, torch.int32)
    """
    for dtype in (torch.int8, torch.uint8):
        if torch.iinfo(dtype).min <= low and high <= torch.iinfo(dtype).max:
            return dtype
    return torch.int32
