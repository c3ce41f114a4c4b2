"""Levels of a matrix as planes of bits, and back.

The index of a level is `(level - low) / spacing`, of `alphabet.bits` bits. Plane b holds bit b of every index, so the
first plane is the least significant one. Bit j of byte i of a row is column 8 i + j, and rows end with zero bits, up to
a multiple of 8 bytes: a kernel reads whole words, and padding changes no count.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bebertlab.interfaces.quantizer import Alphabet
from bebertlab.kernels.layout import pack_planes
from bebertlab.model.primitives import integer_dtype

MOST_BITS = 8  #: of an index, so that it fits a byte
LARGEST_LEVEL = 2**24  #: the largest magnitude that float32 holds exactly along with all smaller ones
_WORD = 8  #: bytes that rows are padded to
_BYTE = 8  #: bits

Bytes = NDArray[np.uint8]


def row_bytes(columns: int) -> int:
    """Bytes of a row of a plane.

    >>> row_bytes(1), row_bytes(64), row_bytes(65)
    (8, 8, 16)
    """
    return -(-columns // (_BYTE * _WORD)) * _WORD


def plane_shape(rows: int, columns: int, alphabet: Alphabet) -> tuple[int, int, int]:
    """Shape of the planes of a matrix (rows, columns): rows, planes, bytes."""
    return rows, alphabet.bits, row_bytes(columns)


def packing_problem(alphabet: Alphabet) -> str:
    """Why levels of an alphabet cannot be packed; empty if they can.

    >>> packing_problem(Alphabet.signed(8)), packing_problem(Alphabet.signed(9))
    ('', 'its levels have 9 bits, and at most 8 are packed')
    """
    if alphabet.bits > MOST_BITS:
        return f"its levels have {alphabet.bits} bits, and at most {MOST_BITS} are packed"
    if max(abs(alphabet.low), abs(alphabet.high)) > LARGEST_LEVEL:
        return f"its levels exceed {LARGEST_LEVEL}, the largest that float32 holds exactly"
    return ""


def pack_levels(levels: Tensor, alphabet: Alphabet) -> Bytes:
    """The planes of a matrix of levels, (rows, columns) -> (rows, planes, bytes).

    Raises:
        ValueError: a level is not in the alphabet, or the alphabet has levels that cannot be packed.

    >>> pack_levels(torch.tensor([[-1, 1, 1, -1]]), Alphabet(-1, 1, spacing=2))[0, 0].tolist()
    [6, 0, 0, 0, 0, 0, 0, 0]
    """
    if problem := packing_problem(alphabet):
        raise ValueError(problem)
    if not alphabet.contains(levels):
        raise ValueError(f"a level is not in {alphabet}")
    packed = pack_planes(levels.cpu().numpy(), alphabet.low, alphabet.spacing, alphabet.bits)
    planes = np.zeros(plane_shape(levels.shape[0], levels.shape[1], alphabet), dtype=np.uint8)
    planes[:, :, : packed.shape[2]] = packed
    return planes


def unpack_levels(planes: Tensor, alphabet: Alphabet, columns: int) -> Tensor:
    """The levels of planes (rows, planes, bytes), (rows, columns), in the smallest dtype that holds the alphabet.

    >>> unpack_levels(torch.tensor([[[6, 0, 0, 0, 0, 0, 0, 0]]], dtype=torch.uint8), Alphabet(-1, 1, spacing=2), 4)
    tensor([[-1,  1,  1, -1]], dtype=torch.int8)
    """
    dtype = integer_dtype(alphabet.low, alphabet.high)
    if planes.is_cpu and dtype.itemsize == 1:
        return _look_up(planes.numpy(), alphabet, columns).view(dtype)
    bits = _unpack_bits(planes, columns)
    levels = torch.full_like(bits[:, 0], alphabet.low, dtype=torch.int32)
    for plane in range(alphabet.bits):
        levels += bits[:, plane].to(torch.int32) * (alphabet.spacing << plane)
    return levels.to(dtype)


def find_padding(planes: Bytes, columns: int) -> bool:
    """Whether a bit beyond the columns is set.

    >>> find_padding(np.array([[[6, 0, 0, 0, 0, 0, 0, 0]]], dtype=np.uint8), 3)
    False
    """
    whole, bits = divmod(columns, _BYTE)
    if bits and bool((planes[:, :, whole] >> bits).any()):
        return True
    return bool(planes[:, :, whole + (bits > 0) :].any())


def find_unknown_index(planes: Bytes, alphabet: Alphabet) -> bool:
    """Whether an index is not below the size of the alphabet; compares whole planes, without unpacking them.

    >>> ternary = Alphabet(-1, 1)
    >>> find_unknown_index(np.array([[[3] + 7 * [0], [1] + 7 * [0]]], dtype=np.uint8), ternary)
    True
    """
    highest = alphabet.size - 1
    if highest + 1 == 2**alphabet.bits:
        return False
    above = np.zeros_like(planes[:, 0])
    equal = np.full_like(above, 0xFF)  # to the highest index, in the bits compared so far
    for plane in reversed(range(alphabet.bits)):
        if highest >> plane & 1:
            equal &= planes[:, plane]
        else:
            above |= equal & planes[:, plane]
            equal &= ~planes[:, plane]
    return bool(above.any())


def _look_up(planes: Bytes, alphabet: Alphabet, columns: int) -> Tensor:
    """Levels of one byte each, as uint8 modulo 256: of each byte of a plane its eight bits at once."""
    levels = _byte_levels(alphabet, 0)[planes[:, 0]].view(np.uint8)
    for plane in range(1, alphabet.bits):
        levels += _byte_levels(alphabet, plane)[planes[:, plane]].view(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(levels[:, :columns]))


def _byte_levels(alphabet: Alphabet, plane: int) -> NDArray[np.uint64]:
    """For each byte of a plane what its bits add to eight levels, one in a byte; the first plane adds the lowest."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.int64)
    added = bits * (alphabet.spacing << plane) + (0 if plane else alphabet.low)
    levels: NDArray[np.uint64] = (added % 256).astype(np.uint8).view(np.uint64)[:, 0]
    return levels


def _unpack_bits(planes: Tensor, columns: int) -> Tensor:
    """Bits (..., columns) of bytes, one in a uint8."""
    shifts = torch.arange(_BYTE, dtype=torch.uint8, device=planes.device)
    return ((planes[..., None] >> shifts) & 1).flatten(-2)[..., :columns]
