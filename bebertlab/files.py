"""Files that come from outside: missing ones, pointers of git-lfs, and JSON objects."""

from __future__ import annotations

import hashlib
import json
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from bebertlab.errors import SetupError, UserError

_POINTER = b"version https://git-lfs"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_START = 256  #: bytes that tell text from numbers
_SHOWN = 40  #: letters of a text in a message


def check_file(path: Path) -> None:
    """Check that a file is there, can be read, and is the file itself.

    Raises:
        SetupError: it is missing, or closed to this user, or a pointer of git-lfs.
    """
    try:
        if not path.is_file():
            raise SetupError(f"{path}: no such file")
        refuse_pointer(path)
    except OSError as error:
        raise SetupError(f"{path}: it cannot be read: {error.strerror or error}") from error


def refuse_pointer(path: Path) -> None:
    """Check that a file is not one of the few lines of text that `git clone` leaves where git-lfs is not installed.

    Raises:
        SetupError: it is.
    """
    with path.open("rb") as file:
        start = file.read(len(_POINTER))
    if start == _POINTER:
        raise SetupError(
            f"{path} is a pointer of git-lfs, not the file itself; run `git lfs pull` there, or fetch it again"
        )


def describe_start(path: Path) -> str | None:
    """What a file is instead of the numbers that it should hold; None where its first bytes do not tell."""
    with path.open("rb") as file:
        start = file.read(_START)
    text = start.decode("utf-8", errors="replace").rstrip("\ufffd").strip()  # a letter may have been cut in two
    if not text and not start.strip():
        return "it is empty"
    if not all(letter.isprintable() or letter.isspace() for letter in text):
        return None
    if text.lower().startswith(("<!doctype", "<html")):
        return "it is a web page"
    return f"it is text that begins with '{text.splitlines()[0][:_SHOWN]}'"


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as those of safetensors do: the length of a JSON object, and that object."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        SetupError: the file is missing, or a pointer of git-lfs.
        UserError: it is not a JSON object in UTF-8, or has a key twice.
    """
    check_file(path)
    data = path.read_bytes()
    if data.startswith(_BYTE_ORDER_MARK):
        raise UserError(f"{path}: not valid JSON: it begins with a byte order mark; save it as UTF-8 without one")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not valid JSON: byte {error.start} is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: a JSON object is needed, found {type(value).__name__}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found


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
