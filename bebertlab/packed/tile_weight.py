"""Weights of linear maps that stay packed while AMX multiplies them with bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from bebertlab.errors import SetupError
from bebertlab.inference.integers import IntegerWeight, levels_as_bytes
from bebertlab.interfaces.quantizer import Alphabet
from bebertlab.kernels.emit_tiles import GROUP_OUTPUTS
from bebertlab.kernels.target import kernel_target
from bebertlab.kernels.tiles import TileWeights, tile_problem
from bebertlab.packed.modules import LinearPart, PackedMatrix


@frozen(kw_only=True, eq=False)
class TileWeight(IntegerWeight):
    """A matrix (O, I) of levels as bit planes."""

    takes_bytes: ClassVar[bool] = True

    weights: TileWeights

    @classmethod
    def of(cls, matrix: PackedMatrix) -> Self:
        """A packed matrix that `tile_weight_problem` finds nothing against."""
        alphabet, planes = matrix.alphabet, matrix.planes.numpy()
        weights = TileWeights.of_planes(planes, matrix.columns, alphabet.low, alphabet.spacing)
        scales = matrix.step.reshape(-1).expand(len(planes)).contiguous()
        sums = torch.from_numpy(weights.sums[: len(planes)])
        return cls(weights=weights, scales=scales, sums=sums * scales)

    @classmethod
    def joined(cls, weights: Sequence[Self]) -> Self:
        """The rows of all weights, which have one `kind`."""
        return cls(
            weights=TileWeights.joined([weight.weights for weight in weights]),
            scales=torch.cat([weight.scales for weight in weights]),
            sums=torch.cat([weight.sums for weight in weights]),
        )

    @property
    def kind(self) -> object:
        """What weights that can be joined have in common."""
        matrix = self.weights
        fills_groups = matrix.outputs % GROUP_OUTPUTS == 0
        return matrix.masks.shape[1:], matrix.columns, matrix.low, matrix.spacing, fills_groups or id(self)

    def convert(self, levels: Tensor) -> tuple[Tensor, int]:
        """Levels as uint8."""
        return levels_as_bytes(levels)

    def count(self, levels: Tensor, zero: int) -> Tensor:
        """The sums, by generated code."""
        return torch.from_numpy(np.ascontiguousarray(self.weights(levels.numpy(), zero)))


def tile_weights(parts: Sequence[LinearPart]) -> list[IntegerWeight]:
    """The matrices of summands that `tile_weight_problem` finds nothing against."""
    return [TileWeight.of(part.matrix) for part in parts if isinstance(part.matrix, PackedMatrix)]


def tile_weight_problem(matrix: PackedMatrix, inputs: Alphabet) -> str:
    """Why a matrix does not stay packed for AMX; empty if it can."""
    alphabet = matrix.alphabet
    if inputs.high - inputs.low > np.iinfo(np.uint8).max:
        return "levels of inputs take more than a byte"
    try:
        target = kernel_target()
    except SetupError as error:
        return str(error)
    return tile_problem(matrix.columns, alphabet.low, alphabet.spacing, alphabet.bits, target)
