"""Folders of the work folder."""

from __future__ import annotations

from pathlib import Path

from bebertlab.errors import EnvironmentFault


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it is in.

    Raises:
        EnvironmentFault: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"{folder}: the folder cannot be made: {error.strerror or error}; --work names another place"
        ) from error
