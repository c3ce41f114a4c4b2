"""Files of users: checks that they are there and are not git-lfs pointers, JSON objects, and content hashes."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from bebertlab.errors import SetupError, UserError

MOST_LEVELS = 100  #: of nested lists and mappings in a file; the recursive functions that read them can take that many
_TOO_DEEP = f"nested more than {MOST_LEVELS} levels deep"
_POINTER = b"version https://git-lfs"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_START = 256  #: bytes read to see whether a file is text
_SHOWN = 40  #: characters of a text in a message


def check_file(path: Path) -> None:
    """Check that a file exists, can be read, and is not a git-lfs pointer.

    Raises:
        SetupError: it does not, or cannot, or is.
    """
    try:
        if not path.is_file():
            raise SetupError(f"{path}: no such file")
        refuse_pointer(path)
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror or error}") from error


def refuse_pointer(path: Path) -> None:
    """Check that a file is not a git-lfs pointer, which `git clone` leaves if git-lfs is not installed.

    Raises:
        SetupError: it is.
    """
    with path.open("rb") as file:
        start = file.read(len(_POINTER))
    if start == _POINTER:
        raise SetupError(
            f"{path} is a git-lfs pointer, not the file itself; run `git lfs pull` there, or download it again"
        )


def describe_start(path: Path) -> str | None:
    """What a file is instead of the tensors that it should hold; None if its first bytes do not show it."""
    with path.open("rb") as file:
        start = file.read(_START)
    text = start.decode("utf-8", errors="replace").rstrip("\ufffd").strip()  # the last character may be incomplete
    if not text and not start.strip():
        return "it is empty"
    if not all(letter.isprintable() or letter.isspace() for letter in text):
        return None
    if text.lower().startswith(("<!doctype", "<html")):
        return "it is a web page"
    return f"it is text that begins with '{text.splitlines()[0][:_SHOWN]}'"


def is_safetensors(path: Path) -> bool:
    """Whether a file begins like a safetensors file: the length of a JSON object, then that object."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        SetupError: the file is missing, or a git-lfs pointer.
        UserError: it is not a JSON object in UTF-8, or repeats a key.
    """
    check_file(path)
    return parse_object(path.read_bytes(), path)


def parse_object(data: bytes, path: Path) -> dict[str, Any]:
    """The JSON object that the content of a file is; `path` is for messages.

    Raises:
        UserError: it is not a JSON object in UTF-8, or repeats a key.
    """
    if data.startswith(_BYTE_ORDER_MARK):
        raise UserError(f"{path}: not valid JSON: it begins with a byte order mark; save it as UTF-8 without one")
    try:
        value = parse_json(data.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not valid JSON: byte {error.start} is not UTF-8") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def parse_json(text: str | bytes, *, object_pairs_hook: Callable[[list[tuple[str, Any]]], object] | None = None) -> Any:  # noqa: ANN401 - plain data
    """The data of a JSON text, as `json.loads`, without a RecursionError here or in what reads the data afterwards.

    Raises:
        ValueError: it is not JSON, or lists and objects are nested more than 100 levels deep.
    """
    try:
        value = json.loads(text, object_pairs_hook=object_pairs_hook)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    level = _containers([value])
    for _ in range(MOST_LEVELS):
        level = _containers(item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer))
    if level:
        raise ValueError(_TOO_DEEP)
    return value


def _containers(items: Iterable[Any]) -> list[dict[str, Any] | list[Any]]:
    return [item for item in items if isinstance(item, (dict, list))]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        (duplicate, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"duplicate key {duplicate[:_SHOWN]!r}")
    return mapping


#: after this time a write shows in the times of a file: the coarsest file systems count in two seconds
_SETTLED_NANOSECONDS = 2_500_000_000


def content_digest(path: Path) -> str:
    """The sha256 of a file, cached in this process while the file does not change: every trial of a study needs it.

    The cache compares both times of the file: a modification time can be set back (`cp -p`, `rsync -t`, `touch`), the
    change time cannot. A file written a moment ago is not cached, as it may change again within the same clock tick.
    """
    state = path.stat()
    changed = max(state.st_mtime_ns, state.st_ctime_ns)
    if not 0 <= changed <= time.time_ns() - _SETTLED_NANOSECONDS:
        return _digest(path)
    return _cached_digest(
        path.absolute(), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
    )


def path_digest(path: Path) -> str | None:
    """A hash of a file, or of the names and contents of all files below a folder; None if neither exists."""
    if path.is_file():
        return content_digest(path)
    if not path.is_dir():
        return None
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    texts = [f"{file.relative_to(path).as_posix()} {content_digest(file)}" for file in files]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


@lru_cache(maxsize=256)
def _cached_digest(path: Path, *state: int) -> str:
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
