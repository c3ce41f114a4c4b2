from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bebertlab.kernels.compiler import Kernels, cache_folder, compile_kernels
from bebertlab.kernels.emit import Emitter
from bebertlab.kernels.target import kernel_target

pytest.importorskip("llvmlite")


def compiled(folder: Path | None, number: int = 7) -> Kernels:
    e = Emitter(native_popcount=False, tile_rows=4)
    with e.function("store", "out") as (out,):
        e.store(e.number(e.i64, number), out)
    return compile_kernels(e, kernel_target(), folder)


def result(kernels: Kernels) -> int:
    out = np.zeros(1, np.int64)
    kernels.call("store", out.ctypes.data)
    return int(out[0])


def test_compiled_code_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    assert result(compiled(folder)) == 7
    (file,) = folder.iterdir()
    before = file.stat().st_ino
    assert result(compiled(folder)) == 7
    assert file.stat().st_ino == before  # read, not written again
    assert result(compiled(folder, number=8)) == 8
    assert len([*folder.iterdir()]) == 2


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 1000, None])
def test_damaged_files_are_written_again(tmp_path: Path, damage: bytes | None) -> None:
    compiled(tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-1] if damage is None else damage)
    assert result(compiled(tmp_path)) == 7
    assert file.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert result(compiled(tmp_path / "file")) == 7
    assert result(compiled(None)) == 7


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "bebertlab" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "bebertlab" / "kernels"


def test_several_processes_may_write_at_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from bebertlab.kernels.compiler import compile_kernels
from bebertlab.kernels.emit import Emitter
from bebertlab.kernels.target import kernel_target
for number in range(20):
    e = Emitter(native_popcount=False, tile_rows=4)
    with e.function("store", "out") as (out,):
        e.store(e.number(e.i64, number), out)
    compile_kernels(e, kernel_target(), Path(sys.argv[1]))
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert [file.suffix for file in tmp_path.iterdir()] == [".o"] * 20
