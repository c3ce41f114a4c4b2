"""One thing that was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from attrs import frozen

from bebertlab.errors import UserError


class Mark(StrEnum):
    """How well something is."""

    OK = "ok"
    WARN = "warn"  #: works, but not as well as it could
    FAIL = "fail"  #: studies will not run


@frozen
class Finding:
    """What was looked at, how it is, and what to do."""

    what: str
    mark: Mark
    found: str
    hint: str = ""  #: what would be right; empty where all is well


def look(what: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The findings of a check; one that raises has failed, and the others go on.

    >>> [finding] = look("sums", lambda: [Finding("sums", Mark.OK, str(1 // 0))])
    >>> finding.mark, finding.found
    (<Mark.FAIL: 'fail'>, 'ZeroDivisionError: integer division or modulo by zero')
    """
    try:
        return list(check())
    except UserError as error:
        return [Finding(what, Mark.FAIL, str(error))]
    except Exception as error:  # a check must not take the others with it
        words = " ".join(str(error).split())
        return [Finding(what, Mark.FAIL, f"{type(error).__name__}: {words}")]
