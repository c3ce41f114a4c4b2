"""Hashes of plain data and of files."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

import bebertlab


def canonical(data: object) -> str:
    """Plain data as JSON text that is the same for the same data, whatever the order of its keys.

    >>> canonical({"b": 1.0, "a": [True, None]})
    '{"a":[true,null],"b":1.0}'

    Raises:
        TypeError: the data is not plain.
    """
    return _json(data)


def _json(data: object, default: Callable[[object], object] | None = None) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=default)


def fingerprint(data: object) -> str:
    """The sha256 of the canonical text of plain data, as 64 hexadecimal digits.

    >>> fingerprint({"a": 1})[:12]
    '015abd7f5cc5'
    """
    return hashlib.sha256(canonical(data).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def output_digest(*values: object, packages: Iterable[str]) -> str:
    """The hash of everything that determines an output of this package: values, the package's source, and versions.

    Two outputs with equal digests have equal contents, so that one need not be written over the other.

    Args:
        values: attrs values or plain data.
        packages: names of the distributions that the output depends on; a missing one has no version.
    """
    versions = {name: _version(name) for name in packages}
    text = _json([values, source_digest(), platform.python_version(), versions], default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    """A path, a read-only mapping or an attrs value as JSON has it; what is inside of these follows by itself."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, MappingProxyType):
        return dict(value)
    cls: type[Any] = type(value)
    if not attrs.has(cls):
        raise TypeError(f"{cls.__name__} is no plain data")
    return {"class": cls.__name__, **{field.name: getattr(value, field.name) for field in attrs.fields(cls)}}


@cache
def source_digest() -> str:
    """The hash of all files of this package."""
    folder = Path(bebertlab.__file__).parent
    files = [f"{file.relative_to(folder)} {file_digest(file)}" for file in sorted(folder.rglob("*.py"))]
    return fingerprint(files)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
