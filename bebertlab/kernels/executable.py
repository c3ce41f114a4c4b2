"""Memory that a process runs code in: written first, run afterwards, never both at a time."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable, Mapping
from typing import Any

from bebertlab.kernels.image import CodeImage


class ExecutableMemory:
    """A copy of an image in memory, as long as this object exists.

    Raises:
        OSError: the system refuses memory that becomes executable after it was written, as hardened ones do.
    """

    def __init__(self, image: CodeImage) -> None:
        memory = mmap.mmap(
            -1, len(image.content), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ | mmap.PROT_WRITE
        )
        # the array keeps the memory, which is unmapped when both are gone
        self._array = (ctypes.c_char * len(image.content)).from_buffer(memory)
        start = ctypes.addressof(self._array)
        memory[:] = image.placed_at(start)
        _protect(start, len(image.content), mmap.PROT_READ | mmap.PROT_EXEC)
        self._addresses: Mapping[str, int] = {name: start + offset for name, offset in image.functions.items()}

    def address(self, function: str) -> int:
        """Where a function begins; 0 if there is none of this name."""
        return self._addresses.get(function, 0)


def _protect(address: int, size: int, protection: int) -> None:
    mprotect: Callable[..., int] = _mprotect()
    if mprotect(address, size, protection):
        number = ctypes.get_errno()
        raise OSError(number, f"memory cannot be made executable: {os.strerror(number)}")


def _mprotect() -> Any:  # noqa: ANN401 - a function of C
    function = ctypes.CDLL(None, use_errno=True).mprotect
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function
