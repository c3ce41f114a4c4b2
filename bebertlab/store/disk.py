"""Full disks, reported in one line whatever raised the error, and folders that cannot be created."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bebertlab.errors import SetupError

_ERRORS = (errno.ENOSPC, errno.EDQUOT)
#: messages of libraries that raise no OSError: safetensors, SQLite
_MESSAGES = ("No space left on device", "os error 28", "Disk quota exceeded", "os error 122", "disk is full")
_FULL_BYTES = 64 * 1024  #: a disk with less free space counts as full


class DiskFull(SetupError):
    """A file could not be written for lack of space. What was finished before is kept."""


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one of its causes, is that of a full disk."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if isinstance(cause, DiskFull) or (isinstance(cause, OSError) and cause.errno in _ERRORS):
            return True
        if any(text in str(cause) for text in _MESSAGES):
            return True
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return False


def disk_full(work: Path) -> DiskFull:
    """The error for a full disk: that of the work folder, unless the temporary folder is the one without space."""
    folders = {"work folder": work, "temporary folder": Path(tempfile.gettempdir())}
    full = [name for name, folder in folders.items() if _free_bytes(folder) < _FULL_BYTES]
    name = full[0] if full else "work folder"
    return DiskFull(
        f"the disk of the {name} is full: {folders[name]}; free some space and run the same command again: "
        "finished stages are kept"
    )


@contextmanager
def naming_full_disk(work: Path) -> Iterator[None]:
    """A block in which the error of a full disk becomes one line that names the folder.

    Raises:
        DiskFull: a file could not be written for lack of space.
    """
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise disk_full(work) from error
        raise


def existing_parent(folder: Path) -> Path:
    """The folder, or the nearest of its parents that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(existing_parent(folder)).free


def make_folder(folder: Path) -> None:
    """Create a folder and its parents.

    Raises:
        SetupError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"{folder}: cannot create the folder: {error.strerror or error}; choose another one with --work"
        ) from error
