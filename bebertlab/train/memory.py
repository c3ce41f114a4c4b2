"""How the process treats memory that tensors leave behind."""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_FROM_HEAP = 32 * 2**20  # the most that glibc allows
_NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Keep what is freed for the next tensor, from now on in this process; whether the C library can.

    Every step makes and frees the same tensors. Where glibc gives their memory back to the system each time, every
    page of the next one is a page fault: measured, up to a tenth of a training step. What the process takes at its
    peak it keeps until it ends. Another C library than glibc stays as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all([mallopt(_MMAP_THRESHOLD, _LARGEST_FROM_HEAP), mallopt(_TRIM_THRESHOLD, _NEVER)])
