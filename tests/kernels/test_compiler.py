from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from attrs import evolve

import bebertlab.kernels
from bebertlab.kernels import compiler
from bebertlab.kernels.cache import KernelCache
from bebertlab.kernels.compiler import KernelFamily, Kernels, cached_kernels, file_name, link_object
from bebertlab.kernels.emit import Emitter
from bebertlab.kernels.executable import ExecutableMemory
from bebertlab.kernels.image import UnsupportedCode
from bebertlab.kernels.processor import processor_identity
from bebertlab.kernels.target import KernelTarget

pytest.importorskip("llvmlite")

GENERIC = KernelTarget("generic", "", native_popcount=False, tile_rows=4)


def storing(number: int) -> Callable[[Emitter], None]:
    """Writes a function that stores a number."""

    def emit(e: Emitter) -> None:
        with e.function("store", "out") as (out,):
            e.store(e.number(e.i64, number), out)

    return emit


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KernelCache:
    """A new cache; the family "products" is a function that stores 7."""
    monkeypatch.setitem(compiler._EMIT, "products", storing(7))
    return KernelCache(tmp_path / "folder")


def result(kernels: Kernels) -> int:
    out = np.zeros(1, np.int64)
    kernels.call("store", out.ctypes.data)
    return int(out[0])


def stored(kept: KernelCache) -> list[Path]:
    assert kept.folder is not None
    return [*kept.folder.iterdir()]


def test_code_is_compiled_once(kept: KernelCache, monkeypatch: pytest.MonkeyPatch) -> None:
    assert result(cached_kernels("products", GENERIC, kept)) == 7
    monkeypatch.setattr(compiler, "compile_object", lambda *_: pytest.fail("compiled again"))
    assert result(cached_kernels("products", GENERIC, kept)) == 7
    assert [file.name for file in stored(kept)] == [file_name("products", GENERIC)]


def test_damaged_files_are_written_again(kept: KernelCache) -> None:
    cached_kernels("products", GENERIC, kept)
    (file,) = stored(kept)
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    assert result(cached_kernels("products", GENERIC, kept)) == 7
    assert file.read_bytes() == content


def test_without_a_folder_code_is_compiled_in_memory(kept: KernelCache) -> None:
    assert result(cached_kernels("products", GENERIC, KernelCache(None))) == 7


CHANGES: list[dict[str, Any]] = [
    {"cpu": "haswell"},
    {"features": "+avx512f"},
    {"native_popcount": True},
    {"tile_rows": 8},
]


@pytest.mark.parametrize("change", CHANGES)
def test_code_for_one_cpu_is_never_run_on_another(kept: KernelCache, change: dict[str, Any]) -> None:
    """Machines with a common home folder."""
    cached_kernels("products", GENERIC, kept)
    other = evolve(GENERIC, **change)
    assert kept.read(file_name("products", GENERIC)) is not None
    assert kept.read(file_name("products", other)) is None
    # nor where somebody gives the file the name of the other
    (file,) = stored(kept)
    file.rename(file.with_name(file_name("products", other)))
    assert kept.read(file_name("products", other)) is None


def test_all_that_code_depends_on_is_in_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {file_name(family, GENERIC) for family in get_args(KernelFamily)}
    for name in ("llvmlite.__version__", "bebertlab.kernels.compiler._SOURCES"):
        with monkeypatch.context() as patch:
            patch.setattr(name, "another")
            names.add(file_name("products", GENERIC))
    with monkeypatch.context() as patch:
        patch.setattr("sysconfig.get_platform", lambda: "another")
        names.add(file_name("products", GENERIC))
    assert len(names) == len(get_args(KernelFamily)) + 3


def test_a_changed_source_changes_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in Path(bebertlab.kernels.__path__[0]).glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(compiler, "files", lambda package: tmp_path)
    assert compiler._hash_sources() == compiler._SOURCES
    changed = tmp_path / "emit_bits.py"
    changed.write_text(changed.read_text() + "\n")
    assert compiler._hash_sources() != compiler._SOURCES


def test_what_writes_code_reads_no_sources_but_those_that_are_hashed() -> None:
    folder = Path(bebertlab.kernels.__path__[0])
    for file in folder.glob("emit*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("bebertlab"):
                assert str(node.module).startswith("bebertlab.kernels."), file


def test_unknown_functions_are_named(kept: KernelCache) -> None:
    for kernels in (cached_kernels("products", GENERIC, kept), by_llvm(kept)):
        with pytest.raises(ValueError, match="there is no function 'add'"):
            kernels.call("add", 1)


def by_llvm(kept: KernelCache) -> Kernels:
    return compiler._link_by_llvm(object_code(kept), GENERIC)


def object_code(kept: KernelCache) -> bytes:
    cached_kernels("products", GENERIC, kept)
    code = kept.read(file_name("products", GENERIC))
    assert code is not None
    return code


def test_llvm_links_what_becomes_no_image(kept: KernelCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(data: bytes) -> None:
        raise UnsupportedCode("relocations of type 1")

    code = object_code(kept)
    monkeypatch.setattr(compiler, "object_image", unsupported)
    kernels = link_object(code, GENERIC)
    assert not isinstance(getattr(kernels._address, "__self__", None), ExecutableMemory)
    assert result(kernels) == 7


def test_llvm_links_where_memory_does_not_become_executable(kept: KernelCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: ExecutableMemory, image: object) -> None:
        raise PermissionError("refused")

    code = object_code(kept)
    monkeypatch.setattr(ExecutableMemory, "__init__", refused)
    assert result(link_object(code, GENERIC)) == 7


@pytest.mark.skipif(processor_identity() is None, reason="needs Linux on x86-64")
def test_families_are_images(kernels_of: Callable[[KernelFamily], Kernels]) -> None:
    """None of them refers to a function of a library, which would need LLVM to be linked."""
    for family in get_args(KernelFamily):
        kernels = kernels_of(family)
        if family == "tiles" and not kernels.target.amx:
            continue  # which has no functions then
        assert isinstance(getattr(kernels._address, "__self__", None), ExecutableMemory), family


@pytest.mark.skipif(processor_identity() is None, reason="needs Linux on x86-64")
def test_llvm_is_not_loaded_for_code_that_was_compiled_before(tmp_path: Path) -> None:
    code = """
import sys
from bebertlab.kernels.compiler import load_kernels
load_kernels("products")
print("llvmlite.binding" in sys.modules)
"""
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", code]
    outputs = [subprocess.check_output(command, env=environment, text=True, timeout=60).strip() for _ in range(2)]
    assert outputs == ["True", "False"]


def test_several_processes_may_compile_at_once(tmp_path: Path) -> None:
    code = """
import numpy as np
from bebertlab.kernels.product import pack_inputs
blocks = pack_inputs(np.array([[1, -1] * 40], np.int8), -1, 2, 1)
print(blocks.words[0, 0, :3, 0].tolist())
"""
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    expected = f"{[0x55555555, 0x55555555, 0x5555]}\n"
    assert [process.communicate(timeout=60)[0] for process in processes] == [expected, expected]
    assert not [*tmp_path.rglob("*.tmp")]
