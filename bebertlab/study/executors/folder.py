"""A folder of our own for a session of Ray, which goes with its driver, however that ends."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "bebertlab-ray-"

_LONGEST_PARENT = 14  # characters; the path of a socket has at most 107, of which Ray and we take up to 93
_YOUNG = 60  # seconds
_LOCK = "lock"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that nobody else may read, in the folder for temporary files, or in /tmp where that path is long.

    What killed drivers left is removed on the way.
    """
    parent = Path(tempfile.gettempdir())
    if len(str(parent)) > _LONGEST_PARENT and Path("/tmp").is_dir():
        parent = Path("/tmp")
    for folder in parent.glob(f"{PREFIX}*"):
        if _is_left_over(folder):
            shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        with FileLock(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_left_over(folder: Path) -> bool:
    """Whether the driver that made a folder was killed: it does not hold its lock any more."""
    try:
        if time.time() - folder.stat().st_mtime < _YOUNG:  # it may be about to lock it
            return False
        with FileLock(folder / _LOCK, timeout=0):
            return True
    except (Timeout, OSError):  # it lives, or it is another user's
        return False
