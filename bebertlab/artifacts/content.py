"""Hashes of files, found again only where a file may have changed."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from pathlib import Path

#: nanoseconds after which a write must show in the times of a file: no file system counts in more than two seconds
_SETTLED = 2_500_000_000


def content_digest(path: Path) -> str:
    """The sha256 of a file, read once in a process while it stays the same: every trial of a study asks for it.

    A time of modification can be set back (`cp -p`, `rsync -t`, `touch`), that of the last change of the file's entry
    cannot. A file that was written a moment ago may be written again within the same tick of the clock, and is not
    remembered.
    """
    state = path.stat()
    changed = max(state.st_mtime_ns, state.st_ctime_ns)
    if not 0 <= changed <= time.time_ns() - _SETTLED:
        return _read(path)
    return _remembered(path.absolute(), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def path_digest(path: Path) -> str | None:
    """A hash of a file, or of the names and contents of all files below a folder; None where there is neither."""
    if path.is_file():
        return content_digest(path)
    if not path.is_dir():
        return None
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    texts = [f"{file.relative_to(path).as_posix()} {content_digest(file)}" for file in files]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


@lru_cache(maxsize=256)
def _remembered(path: Path, *state: int) -> str:
    return _read(path)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
