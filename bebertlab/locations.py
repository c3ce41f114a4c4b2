"""Paths as users write them: `~` is the home folder, and an empty environment variable counts as unset."""

from __future__ import annotations

import os
from pathlib import Path

from bebertlab.errors import UserError


def expand_home(text: str) -> str:
    """Replace a leading `~` or `~user` of a path by that home folder.

    >>> expand_home("data/~x")
    'data/~x'

    Raises:
        UserError: there is no such user.
    """
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        name = expanded.partition("/")[0]
        raise UserError(f"{text}: unknown home folder {name}; write ./{text} for a folder of that name")
    return expanded


def path_from(folder: Path | str, text: str) -> Path:
    """The path that `text` means in a file in `folder`; for the command line `folder` is "", the current folder.

    Raises:
        UserError: it begins with `~` and an unknown user name.
    """
    return Path(folder) / expand_home(text)


def environment_folder(variable: str) -> Path | None:
    """The folder that an environment variable names, relative to the current one; None if it is unset or empty.

    Raises:
        UserError: it begins with `~` and an unknown user name.
    """
    value = os.environ.get(variable)
    return Path(expand_home(value)) if value else None
