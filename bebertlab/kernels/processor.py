"""The CPU of this machine in LLVM's words, read from the cache where LLVM has been asked before."""

from __future__ import annotations

import ctypes
import hashlib
import json
import platform
import struct
import sys
from collections.abc import Iterator

from attrs import asdict, fields, frozen

from bebertlab.kernels.cache import KernelCache
from bebertlab.kernels.executable import ExecutableMemory
from bebertlab.kernels.image import CodeImage

#: cpuid(leaf, subleaf, address of four 32-bit words); the calling convention is that of System V
_CPUID = bytes.fromhex(
    "53 4989d0 89f8 89f1 0fa2"  # push rbx; mov r8, rdx; mov eax, edi; mov ecx, esi; cpuid
    "418900 41895804 41894808 4189500c 5b c3"  # mov [r8], eax; [r8 + 4], ebx; [r8 + 8], ecx; [r8 + 12], edx; pop rbx
)
#: enabled(): the registers that the system saves, a bit each
_XGETBV = bytes.fromhex("31c9 0f01d0 48c1e220 4809d0 c3")  # xor ecx, ecx; xgetbv; shl rdx, 32; or rax, rdx; ret
_IMAGE = CodeImage(_CPUID + _XGETBV, {"cpuid": 0, "enabled": len(_CPUID)}, {})

#: the leaves of CPUID that have names and features, with their subleaves: all that LLVM reads, and some more
_LEAVES = ((0, 0), (1, 0), (7, 0), (7, 1), (7, 2), (0xD, 1), (0x14, 0), (0x19, 0), (0x1E, 0), (0x1E, 1), (0x24, 0))
_EXTENDED_LEAVES = ((0x80000000, 0), (0x80000001, 0), (0x80000008, 0), (0x80000021, 0))
_SAVES_REGISTERS = 1 << 27  #: OSXSAVE, of ECX of leaf 1: XGETBV can be used


@frozen
class Processor:
    """A CPU in LLVM's words."""

    name: str
    features: str  #: `+` and `-` with names, separated by commas

    def has(self, feature: str) -> bool:
        """Whether it has a feature, which the system supports."""
        return f"+{feature}" in self.features.split(",")


def host_processor(cache: KernelCache) -> Processor:
    """The CPU of this machine: as LLVM described one of the same identity before, or as it describes it now."""
    identity = processor_identity()
    if identity is None:
        return _by_llvm()
    name = f"processor-{_record_hash(identity)[:32]}.json"
    stored = cache.read(name)
    if stored is not None:
        return Processor(**json.loads(stored))
    processor = _by_llvm()
    cache.write(name, json.dumps(asdict(processor)).encode())
    return processor


def processor_identity() -> bytes | None:
    """All that LLVM's description of this CPU depends on: what CPUID and XGETBV return.

    None where these cannot be asked: on other systems than Linux, other processors than x86-64, or where no memory
    becomes executable.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64" or sys.maxsize < 2**32:
        return None
    try:
        memory = ExecutableMemory(_IMAGE)
    except OSError:
        return None
    words = [word for leaf in _leaves(memory) for word in leaf]
    return struct.pack(f"<{len(words)}Q", *words)


def _leaves(memory: ExecutableMemory) -> Iterator[tuple[int, ...]]:
    cpuid = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)(memory.address("cpuid"))
    enabled = ctypes.CFUNCTYPE(ctypes.c_uint64)(memory.address("enabled"))
    out = (ctypes.c_uint32 * 4)()
    for leaves in (_LEAVES, _EXTENDED_LEAVES):
        cpuid(leaves[0][0], 0, out)
        last = out[0]
        for leaf, subleaf in leaves:
            if leaf > last:
                continue
            cpuid(leaf, subleaf, out)
            eax, ebx, ecx, edx = out
            if leaf == 1:
                ebx = 0  # the number of the core that runs this
                yield (enabled() if ecx & _SAVES_REGISTERS else 0,)
            yield (leaf, subleaf, eax, ebx, ecx, edx)


def _by_llvm() -> Processor:
    from llvmlite import binding

    return Processor(binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())


def _record_hash(identity: bytes) -> str:
    from llvmlite import __version__

    stored = [attribute.name for attribute in fields(Processor)]
    return hashlib.sha256(repr((stored, __version__, identity)).encode()).hexdigest()
