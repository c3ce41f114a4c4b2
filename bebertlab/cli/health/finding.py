"""The result of a check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from attrs import frozen

from bebertlab.errors import UserError


class Mark(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WARN = "warn"  #: works, with a drawback
    FAIL = "fail"  #: studies cannot run


@frozen
class Finding:
    """What was checked, the result, and what to do."""

    what: str
    mark: Mark
    found: str
    hint: str = ""  #: what to do; empty if nothing


def run_check(what: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The findings of a check; one that raises has failed, and the other checks still run.

    >>> [finding] = run_check("sums", lambda: [Finding("sums", Mark.OK, str(1 // 0))])
    >>> finding.mark, finding.found
    (<Mark.FAIL: 'fail'>, 'ZeroDivisionError: integer division or modulo by zero')
    """
    try:
        return list(check())
    except UserError as error:
        return [Finding(what, Mark.FAIL, str(error))]
    except Exception as error:  # the other checks must still run
        message = " ".join(str(error).split())
        return [Finding(what, Mark.FAIL, f"{type(error).__name__}: {message}")]
