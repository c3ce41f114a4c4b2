"""Compiles generated code, and keeps what was compiled in a cache folder.

LLVM takes more than 50 MiB of memory and a tenth of a second to load code. So it is not used where the code is in the
cache already: the name of a file is made of what the code depends on, and not of the code.
"""

from __future__ import annotations

import ctypes
import hashlib
import sysconfig
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from attrs import astuple

from bebertlab.kernels.cache import KernelCache, cache_folder
from bebertlab.kernels.emit import Emitter
from bebertlab.kernels.emit_encoder import emit_encoder
from bebertlab.kernels.emit_finish import emit_finish
from bebertlab.kernels.emit_heads import emit_heads
from bebertlab.kernels.emit_product import emit_products
from bebertlab.kernels.emit_quantize import emit_quantize
from bebertlab.kernels.emit_rows import emit_extremes
from bebertlab.kernels.emit_tiles import emit_tiles
from bebertlab.kernels.executable import ExecutableMemory
from bebertlab.kernels.image import UnsupportedCode, object_image
from bebertlab.kernels.target import KernelTarget, kernel_target

#: what is compiled together
KernelFamily = Literal["products", "encoder", "rows", "tiles"]


def _emit_rows(e: Emitter) -> None:
    emit_extremes(e)
    emit_quantize(e)
    emit_finish(e)
    emit_heads(e)


_EMIT: dict[KernelFamily, Callable[[Emitter], None]] = {
    "products": emit_products,
    "encoder": emit_encoder,
    "rows": _emit_rows,
    "tiles": emit_tiles,
}


def _hash_sources() -> str:
    sources = {file.name: file.read_bytes() for file in files(__package__).iterdir() if file.name.endswith(".py")}
    return hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()


#: of all modules that write code; computed when they are imported, since a file may change while this process runs
_SOURCES = _hash_sources()


class Kernels:
    """Compiled functions, called by name with 64-bit integers: sizes and addresses.

    Calls release the GIL and may run in several threads at once; nothing checks the addresses.
    """

    def __init__(self, address: Callable[[str], int], target: KernelTarget) -> None:
        """Of what gives the addresses of functions, 0 for unknown names, and keeps their code in memory."""
        self.target = target
        self._address = address
        self._functions: dict[str, Any] = {}

    def __deepcopy__(self, memo: dict[int, object]) -> Kernels:
        """The functions themselves: they do not change."""
        return self

    def call(self, function: str, *arguments: int) -> None:
        """Run a function."""
        compiled = self._functions.get(function)
        if compiled is None:
            compiled = self._functions[function] = self._load(function, len(arguments))
        compiled(*arguments)

    def _load(self, function: str, parameters: int) -> Any:  # noqa: ANN401 - a function of C
        address = self._address(function)
        if not address:
            raise ValueError(f"there is no function {function!r} in this code")
        return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * parameters)(address)


@cache
def load_kernels(family: KernelFamily, target: KernelTarget | None = None) -> Kernels:
    """The compiled functions of a family, for this machine by default; from the cache folder where possible.

    Raises:
        SetupError: llvmlite is missing.
    """
    return cached_kernels(family, kernel_target() if target is None else target, KernelCache(cache_folder()))


def cached_kernels(family: KernelFamily, target: KernelTarget, kept: KernelCache) -> Kernels:
    """The functions of a family from a cache, into which they are put where they are missing."""
    name = file_name(family, target)
    code = kept.read(name)
    if code is None:
        code = compile_object(emit_kernels(family, target), target)
        kept.write(name, code)
    return link_object(code, target)


def file_name(family: KernelFamily, target: KernelTarget) -> str:
    """The name of the file with the code of a family: a hash of all that the code depends on."""
    from llvmlite import __version__  # without the library itself

    key = (family, _SOURCES, __version__, sysconfig.get_platform(), astuple(target))
    return f"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}.o"


def emit_kernels(family: KernelFamily, target: KernelTarget) -> Emitter:
    """The code of a family for a CPU."""
    emitter = Emitter(native_popcount=target.native_popcount, tile_rows=target.tile_rows, amx=target.amx)
    _EMIT[family](emitter)
    return emitter


def compile_kernels(emitter: Emitter, target: KernelTarget) -> Kernels:
    """The functions of an emitter, compiled."""
    return link_object(compile_object(emitter, target), target)


def compile_object(emitter: Emitter, target: KernelTarget) -> bytes:
    """The object code of the functions of an emitter."""
    from llvmlite import binding

    machine = _machine(target)
    emitter.module.triple = binding.get_process_triple()
    module = binding.parse_assembly(str(emitter.module))
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    # the code is vectors already
    options.loop_vectorization = options.slp_vectorization = False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    compiled: bytes = machine.emit_object(module)
    return compiled


def link_object(code: bytes, target: KernelTarget) -> Kernels:
    """The functions of object code, copied to memory or, where that is not possible, loaded by LLVM."""
    try:
        return Kernels(ExecutableMemory(object_image(code)).address, target)
    except (UnsupportedCode, OSError):
        return _link_by_llvm(code, target)


def _link_by_llvm(code: bytes, target: KernelTarget) -> Kernels:
    from llvmlite import binding

    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine(target))
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Kernels(engine.get_function_address, target)


def _machine(target: KernelTarget) -> Any:  # noqa: ANN401 - llvmlite's
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_triple(binding.get_process_triple()).create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="jitdefault", jit=True
    )
