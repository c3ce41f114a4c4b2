"""Products of levels with weights that stay packed, by AMX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.kernels.compiler import Kernels, load_kernels
from bebertlab.kernels.emit_tiles import GROUP_OUTPUTS, PAIR_TOKENS, STEP_COLUMNS, workspace_bytes
from bebertlab.kernels.layout import aligned_empty, aligned_zeros, round_up
from bebertlab.kernels.product import LARGEST_COUNT, largest_level
from bebertlab.kernels.target import KernelTarget

FloatArray = NDArray[np.float32]

_LOWEST, _HIGHEST = -128, 127
_TILE_OUTPUTS, _TILE_COLUMNS = 16, 4
_LARGEST_INPUT = 255


def tile_problem(columns: int, low: int, spacing: int, bits: int, target: KernelTarget) -> str:
    """Why a matrix of levels `low + spacing * index` is not multiplied by AMX; empty if it can be."""
    if not target.amx:
        return "this CPU has no AMX, or the system does not let this process use it"
    if low < _LOWEST or low + spacing * (2**bits - 1) > _HIGHEST:
        return "levels of weights take more than a byte"
    if columns * largest_level(low, spacing, bits) * _LARGEST_INPUT > LARGEST_COUNT:
        return "sums of levels have more than 32 bits"
    return ""


@frozen(eq=False)
class TileWeights:
    """Bit planes of matrices with as many columns, one below the other, as AMX reads them.

    Several threads may multiply at once; calls release the GIL.
    """

    kernels: Kernels
    masks: NDArray[np.uint64]  #: (groups, steps, planes, 2, 16); zeros where outputs or columns are padded
    sums: NDArray[np.int32]  #: (groups * GROUP_OUTPUTS,), of the levels of each output
    outputs: int
    columns: int
    low: int
    spacing: int

    @classmethod
    def of_planes(
        cls, planes: NDArray[np.uint8], columns: int, low: int, spacing: int, kernels: Kernels | None = None
    ) -> Self:
        """From planes (outputs, planes, bytes): bit j of byte i is that of column 8 i + j.

        Raises:
            ValueError: `tile_problem` says why not.
        """
        kernels = load_kernels("tiles") if kernels is None else kernels
        outputs, count, _ = planes.shape
        if problem := tile_problem(columns, low, spacing, count, kernels.target):
            raise ValueError(problem)
        steps = -(-columns // STEP_COLUMNS)
        bits = np.unpackbits(planes, axis=2, count=columns, bitorder="little")
        padded = np.zeros((round_up(outputs, GROUP_OUTPUTS), count, steps * STEP_COLUMNS), np.uint8)
        padded[:outputs, :, :columns] = bits
        shape = (-1, 2, _TILE_OUTPUTS, count, steps, STEP_COLUMNS // _TILE_COLUMNS, _TILE_COLUMNS)
        ordered = padded.reshape(shape).transpose(0, 4, 3, 1, 5, 2, 6)
        packed = np.packbits(ordered.reshape(*ordered.shape[:5], -1), axis=-1, bitorder="little").view("<u8")[..., 0]
        masks = aligned_empty(packed.shape, np.uint64)
        masks[:] = packed
        sums = np.zeros(len(padded), np.int32)
        sums[:outputs] = low * columns + spacing * (bits.sum(2, dtype=np.int64) @ (1 << np.arange(count)))
        return cls(kernels, masks, sums, outputs, columns, low, spacing)

    @classmethod
    def joined(cls, weights: Sequence[Self]) -> Self:
        """The outputs of all, which have equal columns and alphabets, and fill groups.

        Raises:
            ValueError: they do not.
        """
        first = weights[0]
        kinds = {(weight.masks.shape[1:], weight.columns, weight.low, weight.spacing) for weight in weights}
        if len(kinds) > 1 or any(weight.outputs % GROUP_OUTPUTS for weight in weights):
            raise ValueError(f"matrices that are joined have equal columns and alphabets: {sorted(kinds)}")
        masks = aligned_empty((sum(len(weight.masks) for weight in weights), *first.masks.shape[1:]), np.uint64)
        np.concatenate([weight.masks for weight in weights], out=masks)
        sums = np.concatenate([weight.sums for weight in weights])
        return cls(first.kernels, masks, sums, len(sums), first.columns, first.low, first.spacing)

    def __deepcopy__(self, memo: dict[int, object]) -> TileWeights:
        """The weights themselves: they do not change."""
        return self

    def __call__(self, levels: NDArray[np.uint8], zero: int) -> FloatArray:
        """The sums of `(levels - zero)` (N, I) times the weights' levels (N, O), rounded once to float32."""
        tokens = len(levels)
        if levels.dtype != np.uint8 or levels.shape != (tokens, self.columns):
            raise ValueError(f"levels must be uint8 (N, {self.columns}), not {levels.dtype} {levels.shape}")
        groups, steps, planes = self.masks.shape[:3]
        pairs = -(-tokens // PAIR_TOKENS)
        padded = _padded(levels, pairs * PAIR_TOKENS, steps * STEP_COLUMNS)
        corrections = self.sums * np.int32(-zero)
        out = aligned_empty((pairs * PAIR_TOKENS, groups * GROUP_OUTPUTS), np.float32)
        workspace = aligned_empty((workspace_bytes(self.columns),), np.uint8)
        self.kernels.call(
            "multiply_tiles",
            padded.ctypes.data,
            self.masks.ctypes.data,
            planes,
            self.low,
            self.spacing,
            corrections.ctypes.data,
            out.ctypes.data,
            out.strides[0],
            pairs,
            steps,
            groups,
            workspace.ctypes.data,
        )
        return out[:tokens, : self.outputs]


def _padded(levels: NDArray[np.uint8], tokens: int, columns: int) -> NDArray[np.uint8]:
    """Levels as they are where nothing is padded."""
    if levels.shape == (tokens, columns) and levels.flags.c_contiguous:
        return levels
    padded: NDArray[np.uint8] = aligned_zeros((tokens, columns), np.uint8)
    padded[: len(levels), : levels.shape[1]] = levels
    return padded
