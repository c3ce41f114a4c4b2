"""Linear maps whose weights stay packed while generated code multiplies them with packed inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from bebertlab.inference.integers import select_rows
from bebertlab.inference.modules import LevelsLinear
from bebertlab.interfaces.quantizer import Alphabet, Codes
from bebertlab.kernels.layout import WeightTiles
from bebertlab.kernels.product import (
    LARGEST_COUNT,
    MOST_INPUT_BITS,
    InputBlocks,
    PlaneLinear,
    largest_level,
    pack_inputs,
)
from bebertlab.model.primitives import integer_dtype
from bebertlab.packed.modules import LinearPart, PackedMatrix

FloatArray = NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class _PackedInput:
    """Rows of quantized inputs."""

    blocks: InputBlocks
    step: FloatArray
    offset: FloatArray | None


class PlanesLinear(LevelsLinear[_PackedInput]):
    """A sum of linear maps of levels, as `IntegerLinear` computes it to the same bits, from bit planes."""

    def __init__(self, parts: Sequence[LinearPart]) -> None:
        """Of summands that `plane_problem` finds nothing against."""
        super().__init__([part.quantizer for part in parts if part.quantizer is not None])
        self._products = [_product(part) for part in parts]

    def convert(self, codes: Codes, first_token: bool) -> _PackedInput:
        """As bit planes."""
        rows = select_rows(codes, first_token)
        alphabet = codes.alphabet
        levels = rows.levels.to(integer_dtype(alphabet.low, alphabet.high)).numpy()
        return _PackedInput(
            blocks=pack_inputs(levels, alphabet.low, alphabet.spacing, alphabet.bits),
            step=rows.step.detach().numpy(),
            offset=None if rows.offset is None else rows.offset.detach().numpy(),
        )

    def add_product(self, branch: int, inputs: _PackedInput, total: Tensor | None) -> Tensor:
        """By generated code."""
        array = None if total is None else total.numpy()  # the same memory
        return torch.from_numpy(self._products[branch](inputs.blocks, inputs.step, inputs.offset, array))


def plane_problem(parts: Sequence[LinearPart], *, exact: bool) -> str:
    """Why summands are not computed from bit planes; empty if they can be."""
    if not exact:
        return "no activations are quantized"
    for part in parts:
        matrix, quantizer = part.matrix, part.quantizer
        if not isinstance(matrix, PackedMatrix):
            return "weights are not packed"
        if quantizer is None:
            return "inputs are not quantized"
        if matrix.offset is not None:
            return "weights have an offset"
        if not matrix.planes.is_cpu:
            return "weights are not in main memory"
        if problem := _input_problem(quantizer.alphabet):
            return problem
        if matrix.columns * _largest(matrix.alphabet) * _largest(quantizer.alphabet) > LARGEST_COUNT:
            return "sums of levels have more than 32 bits"
    return ""


def _input_problem(alphabet: Alphabet) -> str:
    if alphabet.bits > MOST_INPUT_BITS or integer_dtype(alphabet.low, alphabet.high).itemsize > 1:
        return "levels of inputs take more than a byte"
    if alphabet.spacing & (alphabet.spacing - 1):
        return "levels of inputs have a spacing that is no power of 2"
    return ""


def _largest(alphabet: Alphabet) -> int:
    return largest_level(alphabet.low, alphabet.spacing, alphabet.bits)


def _product(part: LinearPart) -> PlaneLinear:
    matrix = part.matrix
    if not isinstance(matrix, PackedMatrix):
        raise AssertionError("planes are of packed matrices")
    planes, alphabet = matrix.planes.numpy(), matrix.alphabet
    tiles = WeightTiles.of_planes(planes, matrix.columns, alphabet.low, alphabet.spacing)
    return PlaneLinear.of(tiles, matrix.step.numpy(), part.bias.numpy())
