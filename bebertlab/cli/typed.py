"""The command as it was typed."""

from __future__ import annotations

import shlex
import sys

from bebertlab.redact import redact_word


def typed_command(*more: str) -> str:
    """What a user pastes to run it again, with more words after the first; passwords are left out of it."""
    return shlex.join(["bebertlab", *more, *map(redact_word, sys.argv[1:])])
