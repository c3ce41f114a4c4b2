"""int8 GEMM: exact products of integers, by oneDNN, for weights and inputs of few levels."""

from __future__ import annotations

from functools import cache
from typing import Any, Self

import torch
from attrs import frozen
from torch import Tensor

from bebertlab.interfaces.quantizer import Codes

INPUT_BITS = 8  #: the most bits of an input; levels of weights are limited by `_HIGHEST`
#: largest magnitude of a weight's level: processors without instructions for 8-bit dot products add two products with
#: inputs of 8 bits in 16 bits
_HIGHEST = 64
_LOWEST_SIZE = 2**16  #: elements of a weight from which int8 is faster
_BYTE = 128  #: the offset from int8 to uint8


@frozen(kw_only=True, eq=False)
class Int8Input:
    """Rows of inputs in bytes, `(levels - zero) * step + offset`.

    Shape: levels (N, I); step and offset () or (N, 1).
    """

    levels: Tensor  #: uint8
    zero: int
    step: Tensor
    offset: Tensor | None

    @classmethod
    def of(cls, codes: Codes, first_token: bool = False) -> Self:
        """The rows of a quantized tensor (..., I) of at most `INPUT_BITS`.

        With `first_token` those of the first token of each sentence, of (B, T, I).
        """
        selected = (slice(None), slice(1)) if first_token else ...
        levels, zero = _bytes(codes.levels[selected].flatten(0, -2).contiguous())

        def by_row(scale: Tensor) -> Tensor:
            if scale.numel() == 1:
                return scale.reshape(())
            return scale.expand(*codes.levels.shape[:-1], 1)[selected].reshape(-1, 1)

        offset = None if codes.offset is None else by_row(codes.offset)
        return cls(levels=levels, zero=zero, step=by_row(codes.step), offset=offset)


@frozen(kw_only=True, eq=False)
class Int8Weight:
    """A matrix (O, I) of levels between -64 and 64 with one scale for all or one for each row.

    Products with inputs of 8 bits are sums of integers, which are exact, and are scaled afterwards.
    """

    packed: Any  #: the levels in oneDNN's layout
    scales: Tensor  #: (O,)
    zeros: Tensor  #: (O,), the zero points that oneDNN expects: 0
    sums: Tensor  #: (O,), of the rows of the matrix: the product with an input of ones

    @classmethod
    def of(cls, codes: Codes) -> Self | None:
        """A quantized matrix; None where int8 products are not possible or not faster."""
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

    def linear(self, inputs: Int8Input, bias: Tensor, total: Tensor | None = None) -> Tensor:
        """inputs W^T + bias (N, O), added to `total` in place if given."""
        if inputs.offset is not None:
            shifts = inputs.offset * self.sums  # (O,), or (N, O)
            bias, total = (bias + shifts, total) if shifts.ndim == 1 else (bias, _add(shifts, total))
        if inputs.step.numel() == 1:
            return self._multiply(inputs, inputs.step.item(), bias, total)
        product = self._multiply(inputs, 1.0, None, None).mul_(inputs.step)
        return _add(product.add_(bias), total)

    def _multiply(self, inputs: Int8Input, step: float, bias: Tensor | None, total: Tensor | None) -> Tensor:
        multiply = torch.ops.onednn.qlinear_pointwise
        operands = inputs.levels, step, inputs.zero, self.packed, self.scales, self.zeros
        output = 1.0, 0, torch.float32  # scale, zero point and dtype: not quantized
        product: Tensor
        if total is None:
            product = multiply(*operands, bias, *output, "none", [], "")
        else:
            product = multiply(*operands, total, bias, *output, 1.0, 0, "sum", 1.0, "none", [], "")
        return product


def large_enough_for_int8(weight: Tensor) -> bool:
    """Whether a weight, or its levels, is in main memory and large enough for int8 to be faster."""
    return weight.is_cpu and weight.numel() >= _LOWEST_SIZE


@cache
def exact_products() -> bool:
    """Whether torch has exact int8 products here, tried with the largest numbers that occur."""
    levels = torch.full((16, 512), _HIGHEST, dtype=torch.int8)
    levels[::2] *= -1
    sums, ones = levels.sum(-1).float(), torch.ones(16)
    inputs = Int8Input(levels=torch.full((3, 512), 255, dtype=torch.uint8), zero=_BYTE, step=ones[0], offset=None)
    try:
        packed = torch.ops.onednn.qlinear_prepack(levels, None)
        weight = Int8Weight(packed=packed, scales=ones, zeros=torch.zeros(16, dtype=torch.int32), sums=sums)
        once = weight.linear(inputs, ones).clone()
        twice = weight.linear(inputs, ones, once.clone())
    except (AttributeError, RuntimeError, TypeError):  # built without oneDNN, or a version with other arguments
        return False
    expected = ((255 - _BYTE) * sums + 1).expand_as(once)
    return torch.equal(once, expected) and torch.equal(twice, 2 * expected)


def _bytes(levels: Tensor) -> tuple[Tensor, int]:
    """Levels as uint8, and the zero point that was added to them."""
    if levels.dtype is torch.uint8:
        return levels, 0
    if levels.dtype is torch.int8:
        return levels.view(torch.uint8) + _BYTE, _BYTE  # wraps around
    lowest = int(levels.min())
    return (levels - lowest).to(torch.uint8), -lowest


def _add(term: Tensor, total: Tensor | None) -> Tensor:
    return term if total is None else total.add_(term)
