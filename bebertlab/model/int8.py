"""Weights of few levels, packed for products of whole numbers."""

from __future__ import annotations

from functools import cache
from typing import Any, Self

import torch
from attrs import frozen
from torch import Tensor

from bebertlab.interfaces.quantizer import Codes

MOST_BITS = 8  #: of inputs; weights have fewer still
#: largest magnitude of a weight's level: two products with inputs of 8 bits are added up in 16 bits on processors
#: without instructions for 8-bit dot products
_HIGHEST = 64
_LOWEST_SIZE = 2**16  #: numbers of a weight for which packing it pays
_BYTE = 128  #: what turns -128 to 127 into 0 to 255


@frozen(kw_only=True, eq=False)
class IntegerInput:
    """Rows of inputs in bytes, `(levels - zero) * step + offset`.

    Shape: levels (N, I); step and offset are one number, or (N, 1).
    """

    levels: Tensor  #: uint8
    zero: int
    step: Tensor
    offset: Tensor | None

    @classmethod
    def of(cls, codes: Codes, first_only: bool = False) -> Self:
        """The rows of a quantized tensor (..., I) that has no more than `MOST_BITS`.

        Of (B, T, I), if told, only the first token of each sentence.
        """
        wanted = (slice(None), slice(1)) if first_only else ...
        levels, zero = _bytes(codes.levels[wanted].flatten(0, -2).contiguous())

        def of_rows(number: Tensor) -> Tensor:
            return (
                number.reshape(())
                if number.numel() == 1
                else number.expand(*codes.levels.shape[:-1], 1)[wanted].reshape(-1, 1)
            )

        offset = None if codes.offset is None else of_rows(codes.offset)
        return cls(levels=levels, zero=zero, step=of_rows(codes.step), offset=offset)


@frozen(kw_only=True, eq=False)
class IntegerWeight:
    """A matrix (O, I) of levels between -64 and 64 and one scale for it, or one for each row.

    Products with inputs of 8 bits are sums of whole numbers, which are exact; only then they are scaled.
    """

    packed: Any  #: the levels as oneDNN wants them
    scales: Tensor  #: (O,)
    zeros: Tensor  #: (O,), what oneDNN subtracts from levels: nothing
    sums: Tensor  #: (O,), of the rows of the matrix: what an input of ones gives

    @classmethod
    def of(cls, codes: Codes) -> Self | None:
        """A quantized matrix; None where that does not work, or does not pay."""
        levels, step, outputs = codes.levels, codes.step, codes.levels.shape[0]
        scaled = codes.offset is None and (step.numel() == 1 or step.shape == (outputs, 1))
        if not (scaled and step.dtype is torch.float32 and large_enough_for_int8(levels)):
            return None
        lowest, highest = levels.aminmax()
        if not (int(lowest) >= -_HIGHEST and int(highest) <= _HIGHEST and exact_products()):
            return None
        scales = step.reshape(-1).expand(outputs).contiguous()
        return cls(
            packed=torch.ops.onednn.qlinear_prepack(levels.to(torch.int8).contiguous(), None),
            scales=scales,
            zeros=torch.zeros(outputs, dtype=torch.int32),
            sums=levels.sum(-1) * scales,
        )

    def linear(self, inputs: IntegerInput, bias: Tensor, total: Tensor | None = None) -> Tensor:
        """inputs W^T + bias (N, O), added to a total in its memory if there is one."""
        if inputs.offset is not None:
            shifts = inputs.offset * self.sums  # (O,), or (N, O)
            bias, total = (bias + shifts, total) if shifts.ndim == 1 else (bias, _plus(shifts, total))
        if inputs.step.numel() == 1:
            return self._multiply(inputs, inputs.step.item(), bias, total)
        product = self._multiply(inputs, 1.0, None, None).mul_(inputs.step)
        return _plus(product.add_(bias), total)

    def _multiply(self, inputs: IntegerInput, step: float, bias: Tensor | None, total: Tensor | None) -> Tensor:
        multiply = torch.ops.onednn.qlinear_pointwise
        first = inputs.levels, step, inputs.zero, self.packed, self.scales, self.zeros
        plain = 1.0, 0, torch.float32  # scale and zero of what comes out, which is not quantized
        product: Tensor
        if total is None:
            product = multiply(*first, bias, *plain, "none", [], "")
        else:
            product = multiply(*first, total, bias, *plain, 1.0, 0, "sum", 1.0, "none", [], "")
        return product


def large_enough_for_int8(weight: Tensor) -> bool:
    """Whether a weight, or its levels, is in main memory and so large that packing it pays."""
    return weight.is_cpu and weight.numel() >= _LOWEST_SIZE


@cache
def exact_products() -> bool:
    """Whether torch has products of bytes here that are exact: tried on the largest numbers that occur."""
    levels = torch.full((16, 512), _HIGHEST, dtype=torch.int8)
    levels[::2] *= -1
    sums, ones = levels.sum(-1).float(), torch.ones(16)
    inputs = IntegerInput(levels=torch.full((3, 512), 255, dtype=torch.uint8), zero=_BYTE, step=ones[0], offset=None)
    try:
        packed = torch.ops.onednn.qlinear_prepack(levels, None)
        weight = IntegerWeight(packed=packed, scales=ones, zeros=torch.zeros(16, dtype=torch.int32), sums=sums)
        once = weight.linear(inputs, ones).clone()
        twice = weight.linear(inputs, ones, once.clone())
    except (AttributeError, RuntimeError, TypeError):  # built without oneDNN, or one that wants other arguments
        return False
    expected = ((255 - _BYTE) * sums + 1).expand_as(once)
    return torch.equal(once, expected) and torch.equal(twice, 2 * expected)


def _bytes(levels: Tensor) -> tuple[Tensor, int]:
    """Levels as uint8, and what was added to them."""
    if levels.dtype is torch.uint8:
        return levels, 0
    if levels.dtype is torch.int8:
        return levels.view(torch.uint8) + _BYTE, _BYTE  # which wraps around
    lowest = int(levels.min())
    return (levels - lowest).to(torch.uint8), -lowest


def _plus(part: Tensor, total: Tensor | None) -> Tensor:
    return part if total is None else total.add_(part)
