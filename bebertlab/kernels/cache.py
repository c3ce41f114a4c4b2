"""The folder in which compiled code is kept.

Code that is read is run, so a file counts only where nobody but the user can have written it, and a damaged or renamed
one does not.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from attrs import frozen

_DIGEST_BYTES = hashlib.sha256().digest_size
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_folder() -> Path | None:
    """The folder of compiled code, as the XDG rules have it; None if this user has no home folder."""
    parent = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(parent) if parent else Path.home() / ".cache") / "bebertlab" / "kernels"
    except RuntimeError:
        return None


@frozen
class KernelCache:
    """A folder of files that begin with a sha256 of their name and content; several processes may use it at once.

    A folder is not used at all if it belongs to another user, or if others may write to it. One that cannot be written
    is read only.
    """

    folder: Path | None  #: None: nothing is kept

    def problem(self) -> str:
        """Why the folder is not used; empty if it is, or if there is none yet."""
        if self.folder is None:
            return "this user has no home folder"
        try:
            state = self.folder.stat()
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{self.folder}: {error.strerror}"
        if state.st_uid != os.geteuid():
            return f"{self.folder} belongs to another user"
        return f"other users may write to {self.folder}" if state.st_mode & _OTHERS_WRITE else ""

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none, it is damaged, or somebody else may have written it."""
        if self.folder is None or self.problem():
            return None
        try:
            descriptor = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                stored = file.read() if _is_private_file(os.fstat(descriptor)) else b""
        except OSError:
            return None
        content = stored[_DIGEST_BYTES:]
        return content if stored[:_DIGEST_BYTES] == _digest(name, content) else None

    def write(self, name: str, content: bytes) -> None:
        """Write a file as a whole, or not at all where that is not possible."""
        if self.folder is None:
            return
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if self.problem():
                return
            handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(_digest(name, content) + content)
            Path(temporary).replace(self.folder / name)
        except OSError:
            return


def _is_private_file(state: os.stat_result) -> bool:
    """Whether a file, which is no pipe or device, belongs to this user, and nobody else may write to it."""
    return stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & _OTHERS_WRITE


def _digest(name: str, content: bytes) -> bytes:
    """Of the name too, because the name says which CPU the content is for."""
    return hashlib.sha256(name.encode() + b"\0" + content).digest()
