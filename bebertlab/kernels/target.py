"""Which CPU code is generated for."""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import cache
from importlib.util import find_spec
from typing import Literal, get_args

from attrs import frozen

from bebertlab.errors import SetupError, UserError
from bebertlab.kernels.cache import KernelCache, cache_folder
from bebertlab.kernels.processor import Processor, host_processor

#: what code may use: "native" all that the CPU has; "avx2" and "avx512" no more than the first CPUs that had these, so
#: no instruction that counts the bits of a vector; "generic" what every CPU of this architecture has
InstructionSet = Literal["native", "avx2", "avx512", "generic"]

_PROCESSORS = {"avx2": "haswell", "avx512": "skylake-avx512"}  #: LLVM's names of the first that had them
_AMX = ("amx-tile", "amx-int8", "avx512bw")
_NEEDED = {"avx2": ("avx2", "bmi2", "fma"), "avx512": ("avx512bw", "avx512dq", "avx512vl")}


@frozen
class KernelTarget:
    """A CPU in LLVM's words, and what the generated code makes of it."""

    cpu: str  #: LLVM's name
    features: str  #: LLVM's list of features, or ""
    native_popcount: bool  #: it counts the bits of 32-bit lanes in one instruction
    tile_rows: int  #: rows of a tile whose counts fit into registers together
    amx: bool = False  #: it multiplies tiles of bytes, and this process may use them

    @property
    def description(self) -> str:
        """What is used, in a few words.

        >>> KernelTarget("haswell", "", False, 4).description
        'haswell, bits counted by bytes'
        """
        counting = f"bits counted {'in one instruction' if self.native_popcount else 'by bytes'}"
        return f"{self.cpu}, {counting}{', tiles of bytes' if self.amx else ''}"


def request_tiles() -> bool:
    """Ask Linux for the registers of AMX, which a process must do before it uses them; False if it gets none."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    system_call, request_permission, tile_data = 158, 0x1023, 18  # arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA)
    result: int = ctypes.CDLL(None).syscall(*map(ctypes.c_long, (system_call, request_permission, tile_data)))
    return result == 0


def kernels_available() -> bool:
    """Whether generated code can run here: llvmlite is installed, and numbers are little-endian."""
    return find_spec("llvmlite") is not None and sys.byteorder == "little"


@cache
def kernel_target(instructions: InstructionSet = "native") -> KernelTarget:
    """The CPU of this machine, with all that it has or limited to an instruction set.

    Raises:
        SetupError: llvmlite is missing, or the CPU lacks the instruction set.
        UserError: there is no such instruction set.
    """
    if instructions not in get_args(InstructionSet):
        raise UserError(f"unknown instruction set {instructions!r}; known: {', '.join(get_args(InstructionSet))}")
    if not kernels_available():
        raise SetupError("llvmlite is not installed; for fast products run: pip install 'bebertlab[fast]'")
    return target_of(host_processor(KernelCache(cache_folder())), instructions)


def target_of(processor: Processor, instructions: InstructionSet = "native") -> KernelTarget:
    """A CPU with all that it has or limited to an instruction set.

    Raises:
        SetupError: it lacks the instruction set.
    """
    if instructions == "native":
        native_popcount = processor.has("avx512vpopcntdq") and processor.has("avx512f")
        rows = 8 if native_popcount else 4
        amx = all(map(processor.has, _AMX)) and request_tiles()
        return KernelTarget(processor.name, processor.features, native_popcount, rows, amx)
    if instructions == "generic":
        return KernelTarget("generic", "", native_popcount=False, tile_rows=4)
    lacking = [name for name in _NEEDED[instructions] if not processor.has(name)]
    if lacking:
        raise SetupError(f"this CPU has no {instructions}: {', '.join(lacking)} missing")
    return KernelTarget(_PROCESSORS[instructions], "", native_popcount=False, tile_rows=4)
