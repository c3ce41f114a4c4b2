"""Paths as users write them: `~` is the home folder, and an empty variable is one that is not set."""

from __future__ import annotations

import os
from pathlib import Path

from bebertlab.errors import UserError


def expand_home(text: str) -> str:
    """A path with a leading `~` or `~user` replaced by that home folder.

    >>> expand_home("data/~x")
    'data/~x'

    Raises:
        UserError: there is no such user.
    """
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        name = expanded.partition("/")[0]
        raise UserError(f"{text}: no home folder is known for {name}; write ./{text} for a folder of that name")
    return expanded


def beside(folder: Path | str, text: str) -> Path:
    """The path that a text in a file in `folder` means; that of the command line is in `""`, the current folder.

    Raises:
        UserError: it begins with `~` and a name that is no user's.
    """
    return Path(folder) / expand_home(text)


def environment_folder(variable: str) -> Path | None:
    """The folder that an environment variable names, relative to the current one; None where it is unset or empty.

    Raises:
        UserError: it begins with `~` and a name that is no user's.
    """
    value = os.environ.get(variable)
    return Path(expand_home(value)) if value else None
