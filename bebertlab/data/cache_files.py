"""Files of the cache, which many processes write and read at the same time, and anyone may remove."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)


def replace_file(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file as a whole: `write` gets the path of a temporary file, which then replaces it.

    The folder is created where it is missing. Processes that write the same file at the same time each replace it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        write(part)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def mark_as_used(file: Path) -> None:
    """Set the times of a file to now, by which `store gc --days` knows what is in use."""
    try:
        os.utime(file)
    except OSError:
        _log.debug("cannot update the times of %s; `store gc --days` will treat it as unused", file)


def warn_of_damage(file: Path, reason: object) -> None:
    """Warn that a file cannot be used and will be replaced."""
    _log.warning("%s is damaged and will be replaced: %s", file, reason)
