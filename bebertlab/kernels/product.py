"""Products of a packed matrix of weights with inputs of few levels: exact integers, scaled afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import DTypeLike, NDArray

from bebertlab.kernels.compiler import Kernels, load_kernels
from bebertlab.kernels.emit import ROWS, TOKENS, WORD
from bebertlab.kernels.emit_tile import Combination
from bebertlab.kernels.layout import (
    WeightTiles,
    Words,
    aligned_empty,
    aligned_zeros,
    block_count,
    padded_words,
    round_up,
)

FloatArray = NDArray[np.float32]
IntegerArray = NDArray[np.int32]

MOST_INPUT_BITS = 8
LARGEST_COUNT = 2**31 - 1  #: magnitude of a sum of products of levels
_ROW = np.dtype([("step", "<f4"), ("bias", "<f4"), ("offset_factor", "<f4"), ("level_sum", "<i4")])


@frozen(eq=False)
class InputBlocks:
    """Bit planes of inputs (tokens, columns) of levels `low + spacing * index`, in blocks of tokens."""

    words: Words  #: (blocks, planes, words, TOKENS)
    index_sums: IntegerArray  #: (blocks, TOKENS), of the indices of each token
    tokens: int
    columns: int
    low: int
    spacing: int

    @property
    def planes(self) -> int:
        """Bits of an index."""
        return int(self.words.shape[1])


@frozen(eq=False)
class _IntegerTerms:
    combination: Combination
    by_token: IntegerArray  #: (blocks, TOKENS)
    low: int
    factor: int


@frozen(eq=False)
class PlaneLinear:
    """A linear map whose weights are levels with a step, packed as bit planes.

    y = count * (weight step * input step) + (bias [+ input offset * (sum of levels * weight step)]) in float32, where a
    count is the exact sum of products of levels, and every operation is rounded.
    """

    weights: WeightTiles
    constants: NDArray[np.void]  #: (padded rows,) of `_ROW`
    kernels: Kernels

    @classmethod
    def of(
        cls,
        weights: WeightTiles,
        step: FloatArray | float,
        bias: FloatArray | None = None,
        kernels: Kernels | None = None,
    ) -> PlaneLinear:
        """Of weights, their step, () or (rows,), and a bias (rows,)."""
        constants = aligned_zeros((round_up(weights.rows, ROWS),), _ROW)
        row = constants[: weights.rows]
        row["step"] = np.asarray(step, np.float32).reshape(-1)
        row["bias"] = 0 if bias is None else bias
        row["level_sum"] = weights.columns * weights.low + weights.spacing * weights.index_sums
        row["offset_factor"] = row["level_sum"].astype(np.float32) * row["step"]
        return cls(weights, constants, load_kernels("products") if kernels is None else kernels)

    def counts(self, inputs: InputBlocks) -> IntegerArray:
        """Sums of products of levels, (tokens, rows)."""
        out = self._empty(inputs, np.int32)
        self._multiply(inputs, "integers", out)
        return out

    def __call__(
        self,
        inputs: InputBlocks,
        step: FloatArray | float,
        offset: FloatArray | float | None = None,
        total: FloatArray | None = None,
    ) -> FloatArray:
        """The products (tokens, rows).

        Args:
            inputs: of as many columns as the weights have.
            step: of the inputs, () or (tokens,).
            offset: likewise: the value of level 0.
            total: what an earlier call returned; the products are added to it in place.
        """
        shape, strides = (inputs.tokens, self.weights.rows), (self.constants.size * 4, 4)
        result: FloatArray = self._empty(inputs, np.float32) if total is None else total
        if result.dtype != np.float32 or result.shape != shape or result.strides != strides:
            raise ValueError("total must be the result of a product of the same shape")
        steps, offsets = (None if x is None else _by_token(x, inputs) for x in (step, offset))
        self._multiply(inputs, "floats", result, steps, offsets, accumulate=total is not None)
        return result

    def _empty(self, inputs: InputBlocks, dtype: DTypeLike) -> NDArray[Any]:
        padded = aligned_empty((inputs.words.shape[0] * TOKENS, self.constants.size), dtype)
        return padded[: inputs.tokens, : self.weights.rows]

    def _multiply(
        self,
        inputs: InputBlocks,
        result: str,
        out: FloatArray | IntegerArray,
        steps: FloatArray | None = None,
        offsets: FloatArray | None = None,
        *,
        accumulate: bool = False,
    ) -> None:
        weights = self.weights
        if inputs.columns != weights.columns:
            raise ValueError(f"inputs have {inputs.columns} columns, the weights have {weights.columns}")
        if weights.columns * _largest(weights) * _largest(inputs) > LARGEST_COUNT:
            raise ValueError(f"sums over {weights.columns} columns of these levels need more than 32 bits")
        terms = _integer_terms(weights, inputs)
        self.kernels.call(
            f"product_{terms.combination}_{result}",
            inputs.words.ctypes.data,
            terms.by_token.ctypes.data,
            weights.words.ctypes.data,
            self.constants.ctypes.data,
            0 if steps is None else steps.ctypes.data,
            0 if offsets is None else offsets.ctypes.data,
            out.ctypes.data,
            out.strides[0],
            inputs.words.shape[0],
            weights.words.shape[0],
            inputs.words.shape[2],
            inputs.planes,
            weights.planes,
            terms.low,
            terms.factor,
            int(accumulate),
        )


def pack_inputs(
    levels: NDArray[np.uint8 | np.int8], low: int, spacing: int, bits: int, kernels: Kernels | None = None
) -> InputBlocks:
    """Levels (tokens, columns) of a byte as bit planes.

    Raises:
        ValueError: more than 8 bits, or a spacing that is no power of 2, or no tokens.
    """
    if not 1 <= bits <= MOST_INPUT_BITS or spacing < 1 or spacing & (spacing - 1) or not levels.size:
        raise ValueError(f"cannot pack levels of {bits} bits with a spacing of {spacing}, shape {levels.shape}")
    tokens, columns = levels.shape
    words = padded_words(columns)
    if columns % (words * WORD) or levels.strides[1] != 1:
        padded: NDArray[np.uint8 | np.int8] = np.full((tokens, words * WORD), low, levels.dtype)
        padded[:, :columns] = levels
        levels = padded
    blocks = block_count(tokens)
    out = aligned_empty((blocks, bits, words, TOKENS), np.uint32)
    sums = aligned_empty((blocks, TOKENS), np.int32)
    (load_kernels("products") if kernels is None else kernels).call(
        "pack_levels",
        levels.ctypes.data,
        levels.strides[0],
        tokens,
        words,
        bits,
        low,
        spacing.bit_length() - 1,
        out.ctypes.data,
        sums.ctypes.data,
    )
    return InputBlocks(out, sums, tokens, columns, low, spacing)


def _integer_terms(weights: WeightTiles, inputs: InputBlocks) -> _IntegerTerms:
    if _are_signs(weights) and _are_signs(inputs):
        unit = weights.low * inputs.low
        terms = aligned_empty(inputs.index_sums.shape, np.int32)
        terms[:] = unit * weights.columns
        return _IntegerTerms("xor", terms, 0, -2 * unit)
    terms = aligned_empty(inputs.index_sums.shape, np.int32)
    np.multiply(inputs.index_sums, weights.low * inputs.spacing, out=terms)
    return _IntegerTerms("and", terms, inputs.low, weights.spacing * inputs.spacing)


def largest_level(low: int, spacing: int, bits: int) -> int:
    """The largest magnitude of all levels that the bits of an index can express.

    >>> largest_level(-1, 1, 2), largest_level(-1, 2, 1)
    (2, 1)
    """
    return max(abs(low), abs(low + spacing * ((1 << bits) - 1)))


def _largest(levels: WeightTiles | InputBlocks) -> int:
    return largest_level(levels.low, levels.spacing, levels.planes)


def _are_signs(levels: WeightTiles | InputBlocks) -> bool:
    return levels.planes == 1 and levels.spacing == -2 * levels.low


def _by_token(values: FloatArray | float, inputs: InputBlocks) -> FloatArray:
    table = aligned_zeros(inputs.index_sums.shape, np.float32)
    table.reshape(-1)[: inputs.tokens] = np.asarray(values, np.float32).reshape(-1)
    return table
