"""Full disks: said in one line, whatever raised the error."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bebertlab.errors import SetupError

_ERRORS = (errno.ENOSPC, errno.EDQUOT)
#: how libraries say it that raise no OSError: safetensors, SQLite
_TEXTS = ("No space left on device", "os error 28", "Disk quota exceeded", "os error 122", "disk is full")
_NO_ROOM_BYTES = 64 * 1024


class DiskFull(SetupError):
    """There is no room for what is to be written. What was finished before is kept."""


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what caused it, is that of a full disk."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if isinstance(cause, DiskFull) or (isinstance(cause, OSError) and cause.errno in _ERRORS):
            return True
        if any(text in str(cause) for text in _TEXTS):
            return True
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return False


def disk_full(work: Path) -> DiskFull:
    """The error for a full disk: of the work folder, unless it is the temporary folder that has no room."""
    folders = {"work folder": work, "temporary folder": Path(tempfile.gettempdir())}
    full = [name for name, folder in folders.items() if _free_bytes(folder) < _NO_ROOM_BYTES]
    name = full[0] if full else "work folder"
    return DiskFull(
        f"the {name} is full: {folders[name]}; free space and run the same command again: what is finished is kept"
    )


@contextmanager
def naming_full_disk(work: Path) -> Iterator[None]:
    """A block in which the error of a full disk becomes one line that names the folder.

    Raises:
        DiskFull: something could not be written for want of room.
    """
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise disk_full(work) from error
        raise


def _free_bytes(folder: Path) -> int:
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    return shutil.disk_usage(there).free


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it is in.

    Raises:
        SetupError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"{folder}: the folder cannot be made: {error.strerror or error}; --work names another place"
        ) from error
