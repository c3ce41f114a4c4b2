"""How weights and inputs lie in memory: tiles and blocks of 32-bit words, aligned to cache lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import DTypeLike, NDArray

from bebertlab.kernels.emit import ROWS, TOKENS, WORD

Words = NDArray[np.uint32]

_CACHE_LINE = 64
_PADDING = 64  #: columns are padded to a multiple, two words


def aligned_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array of zeros that begins at a cache line."""
    array = aligned_empty(shape, dtype)
    array.view(np.uint8).fill(0)
    return array


def aligned_empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array that begins at a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def round_up(number: int, multiple: int) -> int:
    """The next multiple.

    >>> round_up(17, 16)
    32
    """
    return -(-number // multiple) * multiple


@frozen(eq=False)
class WeightTiles:
    """Bit planes of a matrix (rows, columns) of levels `low + spacing * index`; bit b of an index is in plane b."""

    words: Words  #: (tiles, planes, words, ROWS); zeros where rows or columns are padded
    index_sums: NDArray[np.int64]  #: (rows,), of the indices of each row
    rows: int
    columns: int
    low: int
    spacing: int

    @property
    def planes(self) -> int:
        """Bits of an index."""
        return int(self.words.shape[1])

    @classmethod
    def of_planes(cls, planes: NDArray[np.uint8], columns: int, low: int, spacing: int) -> WeightTiles:
        """From planes (rows, planes, bytes): bit j of byte i is that of column 8 i + j; further bits are zeros."""
        rows, count, _ = planes.shape
        word_bytes = round_up(columns, _PADDING) // 8
        padded = np.zeros((round_up(rows, ROWS), count, word_bytes), np.uint8)
        padded[:rows, :, : min(word_bytes, planes.shape[2])] = planes[:, :, :word_bytes]
        words = padded.view("<u4").reshape(-1, ROWS, count, word_bytes // 4)
        tiles = aligned_empty((words.shape[0], count, word_bytes // 4, ROWS), np.uint32)
        tiles[:] = words.transpose(0, 2, 3, 1)
        bits = np.bitwise_count(planes).sum(-1, dtype=np.int64)
        return cls(tiles, bits @ (1 << np.arange(count)), rows, columns, low, spacing)

    @classmethod
    def of_levels(cls, levels: NDArray[np.integer], low: int, spacing: int, bits: int) -> WeightTiles:
        """From levels (rows, columns)."""
        return cls.of_planes(pack_planes(levels, low, spacing, bits), levels.shape[1], low, spacing)


def pack_planes(levels: NDArray[np.integer], low: int, spacing: int, bits: int) -> NDArray[np.uint8]:
    """Levels (rows, columns) to planes (rows, bits, bytes): bit j of byte i of plane b is bit b of column 8 i + j.

    Indices have at most 8 bits.
    """
    indices = ((levels.astype(np.int32) - low) // spacing).astype(np.uint8)
    planes = [np.packbits((indices >> plane) & 1, axis=-1, bitorder="little") for plane in range(bits)]
    return np.stack(planes, axis=1)


def padded_words(columns: int) -> int:
    """Words of a row.

    >>> padded_words(65)
    4
    """
    return round_up(columns, _PADDING) // WORD


def block_count(tokens: int) -> int:
    """Blocks of a number of tokens."""
    return -(-tokens // TOKENS)
