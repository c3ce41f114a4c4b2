from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bebertlab.kernels.cache import KernelCache, cache_folder


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "bebertlab" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "bebertlab" / "kernels"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    cache = KernelCache(tmp_path / "new" / "folder")
    assert not cache.problem()  # a folder that is missing is created
    assert cache.read("a") is None
    for content in (b"code", b"", b"other code"):
        cache.write("a", content)
        assert cache.read("a") == content
    assert cache.read("b") is None
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["a"]


def test_without_a_folder_nothing_is_kept() -> None:
    cache = KernelCache(None)
    assert cache.problem() == "this user has no home folder"
    cache.write("a", b"code")
    assert cache.read("a") is None


@pytest.mark.parametrize("damage", [b"", b"short", bytes(1000), None])
def test_damaged_files_are_not_read(tmp_path: Path, damage: bytes | None) -> None:
    cache = KernelCache(tmp_path / "folder")
    cache.write("a", b"code")
    file = tmp_path / "folder" / "a"
    file.write_bytes(file.read_bytes()[:-1] if damage is None else damage)
    assert cache.read("a") is None


def test_renamed_files_are_not_read(tmp_path: Path) -> None:
    """The name says for which CPU code is."""
    cache = KernelCache(tmp_path / "folder")
    cache.write("a", b"code")
    (tmp_path / "folder" / "a").rename(tmp_path / "folder" / "b")
    assert cache.read("b") is None


def test_a_folder_that_cannot_be_written_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert KernelCache(tmp_path / "file" / "below").problem() == f"{tmp_path / 'file' / 'below'}: Not a directory"
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        KernelCache(folder).write("a", b"code")
        assert KernelCache(folder).read("a") is None


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o720])
def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "folder"
    cache = KernelCache(folder)
    cache.write("a", b"code")
    folder.chmod(mode)
    assert cache.problem() == f"other users may write to {folder}"
    assert cache.read("a") is None
    cache.write("b", b"code")
    assert [file.name for file in folder.iterdir()] == ["a"]
    folder.chmod(0o755)
    assert not cache.problem()
    assert cache.read("a") == b"code"


def test_files_that_others_may_write_are_not_read(tmp_path: Path) -> None:
    cache = KernelCache(tmp_path / "folder")
    cache.write("a", b"code")
    (tmp_path / "folder" / "a").chmod(0o620)
    assert cache.read("a") is None


def test_links_and_pipes_are_not_read(tmp_path: Path) -> None:
    cache = KernelCache(tmp_path / "folder")
    cache.write("a", b"code")
    (tmp_path / "folder" / "a").rename(tmp_path / "elsewhere")
    (tmp_path / "folder" / "a").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "folder" / "pipe", 0o600)
    assert cache.read("a") is None
    assert cache.read("pipe") is None


def test_what_belongs_to_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = KernelCache(tmp_path / "folder")
    cache.write("a", b"code")
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert cache.problem() == f"{tmp_path / 'folder'} belongs to another user"
    assert cache.read("a") is None
    cache.write("b", b"code")
    monkeypatch.undo()
    assert cache.read("a") == b"code"
    assert cache.read("b") is None


def test_new_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KernelCache(tmp_path / "new" / "folder").write("a", b"code")
    finally:
        os.umask(before)
    assert KernelCache(tmp_path / "new" / "folder").read("a") == b"code"


def test_several_processes_may_write_at_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from bebertlab.kernels.cache import KernelCache
cache = KernelCache(Path(sys.argv[1]))
for number in range(200):
    cache.write("a", bytes([number]) * 50_000)
    assert cache.read("a") is not None  # of this process or the other, but whole
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "folder")]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["a"]
