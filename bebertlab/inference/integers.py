"""Exact products of quantized inputs and weights: sums of integers, then scales and bias in a fixed order.

A product is `sum of levels * scale + bias` in float32, with a rounding after each operation; scale is the step of the
weight times that of the input. The sum is exact, so the result is the same to the last bit on every processor, with
any number of threads and in any batch, and a kernel that multiplies bits can reproduce it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, Self

import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.interfaces.quantizer import Alphabet, Codes

INT8_INPUT_BITS = 8  #: the most bits of an input of int8 products; levels of weights are limited by `_HIGHEST`
#: largest magnitude of a weight's level: processors without instructions for 8-bit dot products add two products with
#: inputs of 8 bits in 16 bits
_HIGHEST = 64
_LOWEST_SIZE = 2**16  #: elements of a weight from which int8 is faster
ZERO_OF_INT8 = 128  #: is added to levels of int8, which become uint8
_EXACT_IN_FLOAT32 = 2**24  #: integers up to here have no gaps in float32


@frozen(kw_only=True, eq=False)
class IntegerInput:
    """Rows of quantized inputs, `(levels - zero) * step + offset`.

    Shape: levels (N, I); step and offset () or (N, 1).
    """

    levels: Tensor  #: in the dtype that the weight multiplies
    zero: int
    step: Tensor
    offset: Tensor | None


@frozen(kw_only=True, eq=False)
class IntegerWeight(ABC):
    """A matrix (O, I) of levels without an offset, with one scale for all or one for each row."""

    takes_bytes: ClassVar[bool] = False  #: inputs are uint8

    scales: Tensor  #: (O,)
    sums: Tensor  #: (O,), of the rows of the matrix: the product with an input of ones

    @abstractmethod
    def convert(self, levels: Tensor) -> tuple[Tensor, int]:
        """Levels of inputs (N, I) in the dtype that is multiplied, and the zero point that was added to them."""

    @abstractmethod
    def count(self, levels: Tensor, zero: int) -> Tensor:
        """The sums of products of levels, (N, O): exact, or rounded once to float32.

        Levels (N, I) and their zero point as `convert` gives them.
        """

    def input_of(self, codes: Codes, first_token: bool = False) -> IntegerInput:
        """The rows of a quantized tensor (..., I).

        With `first_token` those of the first token of each sentence, of (B, T, I).
        """
        rows = select_rows(codes, first_token)
        levels, zero = self.convert(rows.levels)
        return evolve(rows, levels=levels, zero=zero)

    def linear(self, inputs: IntegerInput, bias: Tensor, total: Tensor | None = None) -> Tensor:
        """inputs W^T + bias (N, O), added to `total` in place if given."""
        if inputs.offset is not None:
            bias = bias + inputs.offset * self.sums
        term = self.count(inputs.levels, inputs.zero).mul_(self.scales * inputs.step).add_(bias)
        return term if total is None else total.add_(term)


@frozen(kw_only=True, eq=False)
class FloatWeight(IntegerWeight):
    """Levels as floats, whose sums of products are exact."""

    transposed: Tensor  #: (I, O), float32, or float64 where sums could exceed 2^24

    @classmethod
    def of(cls, codes: Codes, alphabet: Alphabet) -> Self | None:
        """A quantized matrix for inputs of an alphabet; None if it has an offset or scales other than of rows."""
        scales = _scales_of_rows(codes)
        if scales is None:
            return None
        largest = _largest(alphabet) * int(codes.levels.abs().max()) * codes.levels.shape[1]
        # products of more bits could be rounded to TF32 on a GPU
        narrow = largest <= _EXACT_IN_FLOAT32 and alphabet.bits <= INT8_INPUT_BITS
        transposed = codes.levels.to(torch.float32 if narrow else torch.float64).t()
        return cls(transposed=transposed, scales=scales, sums=codes.levels.sum(-1) * scales)

    @classmethod
    def joined(cls, weights: Sequence[Self]) -> Self:
        """The rows of all weights, which have one dtype."""
        return cls(
            transposed=torch.cat([weight.transposed for weight in weights], 1),
            scales=torch.cat([weight.scales for weight in weights]),
            sums=torch.cat([weight.sums for weight in weights]),
        )

    def convert(self, levels: Tensor) -> tuple[Tensor, int]:
        """Levels as floats."""
        return levels.to(self.transposed.dtype), 0

    def count(self, levels: Tensor, zero: int) -> Tensor:
        """The sums, by a float GEMM."""
        return (levels @ self.transposed).float()


@frozen(kw_only=True, eq=False)
class Int8Weight(IntegerWeight):
    """Levels between -64 and 64 in oneDNN's layout, for products with inputs of 8 bits."""

    takes_bytes: ClassVar[bool] = True

    packed: Any  #: the levels in oneDNN's layout
    ones: Tensor  #: (O,), the scales of sums that are not scaled
    zeros: Tensor  #: (O,), the zero points that oneDNN expects: 0

    @classmethod
    def of(cls, codes: Codes) -> Self | None:
        """A quantized matrix; None where int8 products are not possible or not faster."""
        scales = _scales_of_rows(codes)
        if scales is None or not large_enough_for_int8(codes.levels):
            return None
        lowest, highest = codes.levels.aminmax()
        if not (int(lowest) >= -_HIGHEST and int(highest) <= _HIGHEST and exact_products()):
            return None
        return cls._packed(codes.levels.to(torch.int8), scales)

    @classmethod
    def joined(cls, weights: Sequence[Self], levels: Sequence[Tensor]) -> Self:
        """The rows of all weights, of their levels."""
        return cls._packed(torch.cat([*levels]).to(torch.int8), torch.cat([weight.scales for weight in weights]))

    @classmethod
    def _packed(cls, levels: Tensor, scales: Tensor) -> Self:
        outputs = len(levels)
        return cls(
            packed=torch.ops.onednn.qlinear_prepack(levels.contiguous(), None),
            scales=scales,
            ones=torch.ones(outputs),
            zeros=torch.zeros(outputs, dtype=torch.int32),
            sums=levels.sum(-1) * scales,
        )

    def convert(self, levels: Tensor) -> tuple[Tensor, int]:
        """Levels as uint8."""
        return levels_as_bytes(levels)

    def count(self, levels: Tensor, zero: int) -> Tensor:
        """The sums, by an int8 GEMM, without scales and bias, which would not always be rounded in the same way."""
        return onednn_product(levels, 1.0, zero, self.packed, self.ones, self.zeros, None)


def levels_as_bytes(levels: Tensor) -> tuple[Tensor, int]:
    """Levels of at most 8 bits as uint8, and the zero point that was added to them.

    >>> levels_as_bytes(torch.tensor([-1, 1], dtype=torch.int8))
    (tensor([127, 129], dtype=torch.uint8), 128)
    """
    if levels.dtype is torch.uint8:
        return levels, 0
    if levels.dtype is torch.int8:
        return levels.view(torch.uint8) + ZERO_OF_INT8, ZERO_OF_INT8  # wraps around
    lowest = int(levels.min())
    return (levels - lowest).to(torch.uint8), -lowest


def select_rows(codes: Codes, first_token: bool = False) -> IntegerInput:
    """The rows of a quantized tensor (..., I), levels as they are.

    With `first_token` those of the first token of each sentence, of (B, T, I).
    """
    selected = (slice(None), slice(1)) if first_token else ...

    def by_row(scale: Tensor) -> Tensor:
        if scale.numel() == 1:
            return scale.reshape(())
        return scale.expand(*codes.levels.shape[:-1], 1)[selected].reshape(-1, 1)

    return IntegerInput(
        levels=codes.levels[selected].flatten(0, -2).contiguous(),
        zero=0,
        step=by_row(codes.step),
        offset=None if codes.offset is None else by_row(codes.offset),
    )


def integer_weights(codes: Sequence[Codes], alphabets: Sequence[Alphabet]) -> list[IntegerWeight] | None:
    """The quantized matrices of the branches of a linear map, for products with inputs of these alphabets.

    All are of one kind, so that an input is converted once. None if a product is not a sum of integers to which scales
    of rows can be applied.
    """
    widest = max(alphabets, key=lambda alphabet: alphabet.bits)
    if widest.bits <= INT8_INPUT_BITS:
        int8 = [Int8Weight.of(matrix) for matrix in codes]
        if None not in int8:
            return [weight for weight in int8 if weight is not None]
    floats = [FloatWeight.of(matrix, widest) for matrix in codes]
    return None if None in floats else [weight for weight in floats if weight is not None]


def onednn_product(
    inputs: Tensor,
    step: float,
    zero: int,
    weight: Tensor,
    scales: Tensor,
    zeros: Tensor,
    bias: Tensor | None,
) -> Tensor:
    """oneDNN's product of levels: ((inputs - zero) W^T) * step * scales + bias, in float32.

    Its kernels round scales and bias each in another way: those for AVX-512, and those for few rows.
    Shape: inputs (N, I) uint8, a weight of (O, I) as `qlinear_prepack` packs it, scales, zeros and bias (O,) -> (N, O).
    """
    output = 1.0, 0, torch.float32  # scale, zero point and dtype: not quantized
    product: Tensor = torch.ops.onednn.qlinear_pointwise(
        inputs, step, zero, weight, scales, zeros, bias, *output, "none", [], ""
    )
    return product


def exact_product(left: Codes | Tensor, right: Codes | Tensor, *, transpose: bool = False) -> Tensor:
    """The product of (..., N, K) and (..., K, M), or of (..., N, K) and (..., M, K) if `transpose`.

    Of levels whose sums are exact in float32 it is `sum * scale`, plus a term for the offset of `left`; of anything
    else a sum in float64, which is rounded once.
    """
    if isinstance(left, Codes) and isinstance(right, Codes) and _multiplies_in_float32(left, right):
        levels = _transposed(right.levels.float(), transpose)
        product = (left.levels.float() @ levels).mul_(left.step * right.step)
        if left.offset is None:
            return product
        return product.add_(left.offset * right.step * levels.sum(-2, keepdim=True))
    first, second = (x.decode() if isinstance(x, Codes) else x for x in (left, right))
    return (first.double() @ _transposed(second.double(), transpose)).to(first.dtype)


def _multiplies_in_float32(left: Codes, right: Codes) -> bool:
    """Whether sums of products of levels are exact in float32, and steps are those of whole matrices."""
    if right.offset is not None or left.step.dtype is not torch.float32:
        return False
    whole = all(codes.step.ndim < 2 or codes.step.shape[-2:].numel() == 1 for codes in (left, right))
    return whole and exact_in_float32(left.alphabet, right.alphabet, left.levels.shape[-1])


def exact_in_float32(left: Alphabet, right: Alphabet, count: int) -> bool:
    """Whether float32 holds the sums of so many products of levels exactly."""
    return _largest(left) * _largest(right) * count <= _EXACT_IN_FLOAT32


def _largest(alphabet: Alphabet) -> int:
    return max(-alphabet.low, alphabet.high)


def _transposed(x: Tensor, transpose: bool) -> Tensor:
    return x.transpose(-2, -1) if transpose else x


def large_enough_for_int8(weight: Tensor) -> bool:
    """Whether a weight, or its levels, is in main memory and large enough for int8 to be faster."""
    return weight.is_cpu and weight.numel() >= _LOWEST_SIZE


@cache
def exact_products() -> bool:
    """Whether torch has exact int8 products here, tried with the largest numbers that occur."""
    levels = torch.full((16, 512), _HIGHEST, dtype=torch.int8)
    levels[::2] *= -1
    inputs = torch.full((3, 512), 255, dtype=torch.uint8)
    try:
        weight = Int8Weight._packed(levels, torch.ones(16))
        counts = weight.count(inputs, ZERO_OF_INT8)
    except (AttributeError, RuntimeError, TypeError):  # built without oneDNN, or a version with other arguments
        return False
    return torch.equal(counts, ((255 - ZERO_OF_INT8) * levels.sum(-1).float()).expand_as(counts))


def _scales_of_rows(codes: Codes) -> Tensor | None:
    """(O,) scales; None if there is an offset, or a scale of something else than a row."""
    step, outputs = codes.step, codes.levels.shape[0]
    if codes.offset is not None or step.dtype is not torch.float32:
        return None
    if step.numel() != 1 and step.shape != (outputs, 1):
        return None
    return step.reshape(-1).expand(outputs).contiguous()
