"""Compiles generated code, and keeps what was compiled in a cache folder."""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

from bebertlab.kernels.emit import Emitter
from bebertlab.kernels.emit_encoder import emit_encoder
from bebertlab.kernels.emit_product import emit_products
from bebertlab.kernels.target import KernelTarget, kernel_target

#: what is compiled together
KernelFamily = Literal["products", "encoder"]

_EMIT: dict[KernelFamily, Callable[[Emitter], None]] = {"products": emit_products, "encoder": emit_encoder}


class Kernels:
    """Compiled functions, called by name with 64-bit integers: sizes and addresses.

    Calls release the GIL and may run in several threads at once; nothing checks the addresses.
    """

    def __init__(self, engine: Any, names: list[str], target: KernelTarget) -> None:  # noqa: ANN401 - llvmlite's
        self.target = target
        self._engine = engine  #: owns the code
        self._functions: dict[str, Any] = {}
        for function in names:
            # without a signature, as there are many arguments: every one is converted by c_int64
            self._functions[function] = ctypes.CFUNCTYPE(None)(engine.get_function_address(function))

    def __deepcopy__(self, memo: dict[int, object]) -> Kernels:
        """The functions themselves: they do not change."""
        return self

    def call(self, function: str, *arguments: int) -> None:
        """Run a function."""
        self._functions[function](*map(ctypes.c_int64, arguments))


@cache
def load_kernels(family: KernelFamily, target: KernelTarget | None = None) -> Kernels:
    """The compiled functions of a family, for this machine by default; from the cache folder where possible.

    Raises:
        SetupError: llvmlite is missing.
    """
    target = kernel_target() if target is None else target
    return compile_kernels(emit_kernels(family, target), target, cache_folder())


def emit_kernels(family: KernelFamily, target: KernelTarget) -> Emitter:
    """The code of a family for a CPU."""
    emitter = Emitter(native_popcount=target.native_popcount, tile_rows=target.tile_rows)
    _EMIT[family](emitter)
    return emitter


def compile_kernels(emitter: Emitter, target: KernelTarget, folder: Path | None) -> Kernels:
    """The functions of an emitter, compiled; object code is read from a folder, or written there.

    A folder that cannot be written is not used, and a damaged file in it is written anew.
    """
    from llvmlite import __version__, binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    emitter.module.triple = binding.get_process_triple()
    code = str(emitter.module)
    machine = binding.Target.from_triple(emitter.module.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="jitdefault", jit=True
    )
    key = hashlib.sha256("\n".join([__version__, target.cpu, target.features, code]).encode()).hexdigest()
    path = None if folder is None else folder / f"{key[:32]}.o"
    compiled = _read(path)
    if compiled is None:
        compiled = _compile(code, machine)
        _write(path, compiled)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(compiled))
    engine.finalize_object()
    return Kernels(engine, [function.name for function in emitter.module.functions if function.blocks], target)


def cache_folder() -> Path | None:
    """The folder of compiled code, as the XDG rules have it; None if this user has no home folder."""
    parent = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(parent) if parent else Path.home() / ".cache") / "bebertlab" / "kernels"
    except RuntimeError:
        return None


def _compile(code: str, machine: Any) -> bytes:  # noqa: ANN401 - llvmlite's
    from llvmlite import binding

    module = binding.parse_assembly(code)
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    # the code is vectors already
    options.loop_vectorization = options.slp_vectorization = False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    compiled: bytes = machine.emit_object(module)
    return compiled


def _read(path: Path | None) -> bytes | None:
    """The object code of a file that begins with its sha256; None if there is none or it is damaged."""
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, compiled = content[:32], content[32:]
    return compiled if hashlib.sha256(compiled).digest() == digest else None


def _write(path: Path | None, compiled: bytes) -> None:
    """Write a file as a whole or not at all: another process may read or write it too."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(compiled).digest() + compiled)
        Path(temporary).replace(path)
    except OSError:
        return
