"""Hashes of plain data and of files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def canonical(data: object) -> str:
    """Plain data as JSON text that is the same for the same data, whatever the order of its keys.

    >>> canonical({"b": 1.0, "a": [True, None]})
    '{"a":[true,null],"b":1.0}'

    Raises:
        TypeError: the data is not plain.
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


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
