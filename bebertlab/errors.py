"""Errors that the user can fix: printed without a traceback, with what is wrong and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_TRIALS_FAILED = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_INTERRUPTED = 130


class UserError(Exception):
    """An error in what the user wrote: configuration, command line or plugin."""

    exit_code = EXIT_USAGE


class UnknownPart(UserError):
    """A path leads into a part of an unknown kind; the error is about the part, whatever path leads there."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.what = what  #: the message without the place

    def at(self, where: str) -> UnknownPart:
        """The same error with a place in front."""
        error = UnknownPart(where, str(self))
        error.what = self.what
        return error


class SetupError(UserError):
    """Something is missing on this machine or outside: data, a device, the hub, disk space."""

    exit_code = EXIT_ENVIRONMENT


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest known name, if one is near, and all known names.

    >>> suggestion("twm", ["bwn", "lsq", "twn"])
    "did you mean 'twn'? (known: bwn, lsq, twn)"
    >>> suggestion("zzz", [])
    'none is known'
    >>> suggestion("zzz", ["bwn", "twn"])
    'known: bwn, twn'
    """
    names = sorted(set(known))
    if not names:
        return "none is known"
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listed = f"known: {', '.join(names)}"
    return f"did you mean '{near[0]}'? ({listed})" if near else listed


def unknown(role: str, name: str, known: Iterable[str]) -> UserError:
    """The error for an unknown name.

    >>> str(unknown("quantizer", "twm", ["bwn", "twn"]))
    "unknown quantizer 'twm'; did you mean 'twn'? (known: bwn, twn)"
    """
    return UserError(f"unknown {role} '{name}'; {suggestion(name, known)}")


def show_exception(error: BaseException) -> str:
    """The type and message of an exception in one line, for exceptions that were not written for users.

    >>> show_exception(KeyError("label"))
    "KeyError: 'label'"
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def first_line(error: BaseException) -> str:
    """The first line of the message of an exception; its type if there is none.

    >>> first_line(ValueError("no such device\\nstack: ...")), first_line(TimeoutError())
    ('no such device', 'TimeoutError')
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class TrainingDiverged(UserError):
    """A loss or parameter became NaN or infinite; names the stage, the phase and the step."""

    exit_code = EXIT_TRIALS_FAILED
