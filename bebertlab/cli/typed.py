"""The command as it was typed."""

from __future__ import annotations

import shlex
import sys


def typed_command(*more: str) -> str:
    """What a user pastes to run it again, with more words after the first."""
    return shlex.join(["bebertlab", *more, *sys.argv[1:]])
