"""Modules that compute from bit planes: weights stay packed and are unpacked for a product, or the rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.inference.modules import FixedBranch, fixed_linear
from bebertlab.interfaces.quantizer import Codes, Quantizer
from bebertlab.packed.planes import unpack_levels
from bebertlab.packed.weight import PackedWeight


class PackedMatrix(nn.Module):
    """A packed matrix (rows, columns) on a device."""

    planes: Tensor
    step: Tensor
    offset: Tensor | None

    def __init__(self, weight: PackedWeight) -> None:
        super().__init__()
        self.alphabet, self.columns = weight.alphabet, weight.columns
        self.register_buffer("planes", torch.from_numpy(weight.planes))
        self.register_buffer("step", torch.from_numpy(weight.step))
        self.register_buffer("offset", None if weight.offset is None else torch.from_numpy(weight.offset))

    def codes(self) -> Codes:
        """The whole matrix as integers."""
        levels = unpack_levels(self.planes, self.alphabet, self.columns)
        return Codes(levels=levels, step=self.step, offset=self.offset, alphabet=self.alphabet)

    def rows(self, indices: Tensor) -> Tensor:
        """Values of rows, (N,) -> (N, columns); no other row is unpacked."""
        return Codes(
            levels=unpack_levels(self.planes[indices], self.alphabet, self.columns),
            step=self.step[indices] if self.step.ndim else self.step,
            offset=self.offset[indices] if self.offset is not None and self.offset.ndim else self.offset,
            alphabet=self.alphabet,
        ).decode()


class FloatMatrix(nn.Module):
    """A matrix (rows, columns) that could not be packed, as the values that a model multiplies with."""

    values: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values)

    def rows(self, indices: Tensor) -> Tensor:
        """Values of rows, (N,) -> (N, columns)."""
        return self.values[indices]


Matrix = PackedMatrix | FloatMatrix


@frozen(kw_only=True, eq=False)
class LinearPart:
    """A summand of a linear map as it is stored."""

    matrix: Matrix
    bias: Tensor  #: (O,)
    quantizer: Quantizer | None  #: of the input

    def unpack(self, *, exact: bool) -> FixedBranch:
        """The summand with its levels where the product is one of integers, else with its values."""
        if isinstance(self.matrix, FloatMatrix):
            weight: Codes | Tensor = self.matrix.values
        else:
            weight = self.matrix.codes()
            if not exact or self.quantizer is None:
                weight = weight.decode()
        return FixedBranch(weight=weight, bias=self.bias, quantizer=self.quantizer)


class PackedLinear(nn.Module):
    """A sum of linear maps that are unpacked for each product, which takes the memory of one matrix.

    Computes what `fixed_linear` computes.
    """

    def __init__(self, parts: Sequence[LinearPart], *, exact: bool) -> None:
        super().__init__()
        self.matrices = nn.ModuleList(part.matrix for part in parts)
        self.biases = [part.bias for part in parts]
        self.input_quantizers = nn.ModuleList(part.quantizer for part in parts if part.quantizer is not None)
        self.quantizes_input = len(self.input_quantizers) > 0
        self.exact = exact  #: whether products of levels are sums of integers

    def forward(self, x: Tensor, first_token: bool = False) -> Tensor:
        """The sum over the branches."""
        product: Tensor = self.unpack()(x, first_token)
        return product

    def parts(self) -> list[LinearPart]:
        """The summands."""
        matrices = cast("list[Matrix]", [*self.matrices])
        quantizers: list[Quantizer | None] = [*self.input_quantizers] or [None] * len(matrices)
        return [
            LinearPart(matrix=matrix, bias=bias, quantizer=quantizer)
            for matrix, bias, quantizer in zip(matrices, self.biases, quantizers, strict=True)
        ]

    def unpack(self) -> nn.Module:
        """The same linear map with unpacked matrices."""
        return fixed_linear([part.unpack(exact=self.exact) for part in self.parts()])


class PackedEmbedding(nn.Module):
    """A sum of rows of packed tables.

    Shape: (...,) -> (..., H).
    """

    def __init__(self, tables: Sequence[Matrix]) -> None:
        super().__init__()
        self.tables = nn.ModuleList(tables)

    def forward(self, tokens: Tensor) -> Tensor:
        """The rows of the tokens; only these are unpacked."""
        indices = tokens.flatten()
        first, *others = (table.rows(indices) for table in cast("list[Matrix]", [*self.tables]))
        total = first
        for rows in others:
            total = total + rows
        return total.view(*tokens.shape, -1)
