from __future__ import annotations

import errno
import shutil
import sqlite3
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError

from bebertlab.errors import EXIT_ENVIRONMENT, SetupError
from bebertlab.store.disk import DiskFull, is_disk_full, make_folder, naming_full_disk
from bebertlab.store.store import Store

FULL = OSError(errno.ENOSPC, "No space left on device")


def _chained() -> Exception:
    try:
        try:
            raise FULL
        except OSError as error:
            raise RuntimeError("wrapped") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (FULL, True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (_chained(), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("x"), False),
    ],
)
def test_full_disks_are_recognized_in_errors_of_all_libraries(error: Exception, full: bool) -> None:
    assert is_disk_full(error) is full


def test_the_error_names_the_full_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    free = {tmp_path: 0}
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free.get(folder, 2**30)))
    with pytest.raises(DiskFull) as caught, naming_full_disk(work):
        raise FULL
    assert str(caught.value).startswith(
        f"the disk of the work folder is full: {work}; free some space and run the same command again"
    )
    assert caught.value.exit_code == EXIT_ENVIRONMENT
    free |= {tmp_path: 2**30, Path("/"): 0}
    with pytest.raises(DiskFull, match="the disk of the temporary folder is full: /;"), naming_full_disk(work):
        raise FULL


def test_other_errors_are_not_changed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), naming_full_disk(tmp_path):
        raise ValueError("x")


def test_a_folder_is_created_with_its_parents_and_may_exist(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_created_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = r"file/x: cannot create the folder: Not a directory; choose another one with --work"
    with pytest.raises(SetupError, match=message):
        make_folder(tmp_path / "file" / "x")
    with pytest.raises(SetupError, match="cannot create the folder"):
        Store(tmp_path / "file" / "store").lock("ab")
