"""Errors that are the user's to mend: printed without a traceback, with what is wrong and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_TRIALS_FAILED = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_INTERRUPTED = 130


class UserError(Exception):
    """A fault in what the user wrote: configuration, command line or plugin."""

    exit_code = EXIT_USAGE


class UnknownPart(UserError):
    """A path leads into a part of a kind that nothing answers to; what is wrong is the part, wherever it is named."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.what = what  #: without where

    def at(self, where: str) -> UnknownPart:
        """The same error, begun with a place."""
        error = UnknownPart(where, str(self))
        error.what = self.what
        return error


class SetupError(UserError):
    """A fault of the machine or of the outside world: missing data, unreachable hub, no space."""

    exit_code = EXIT_ENVIRONMENT


def suggestion(name: str, known: Iterable[str]) -> str:
    """Say what the user may have meant, and list what there is.

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
    """The error for a name that nothing answers to.

    >>> str(unknown("quantizer", "twm", ["bwn", "twn"]))
    "unknown quantizer 'twm'; did you mean 'twn'? (known: bwn, twn)"
    """
    return UserError(f"unknown {role} '{name}'; {suggestion(name, known)}")


def show_exception(error: BaseException) -> str:
    """An exception that is no message to the user, in one line.

    >>> show_exception(KeyError("label"))
    "KeyError: 'label'"
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


class TrainingDiverged(UserError):
    """The numbers of a training are no numbers any more; names the stage, the phase and the step."""

    exit_code = EXIT_TRIALS_FAILED
