from __future__ import annotations

from collections.abc import Iterator

from bebertlab.cli.health.finding import Finding, Mark, run_check
from bebertlab.errors import SetupError


def test_findings_keep_their_order() -> None:
    both = [Finding("a", Mark.OK, "1"), Finding("b", Mark.WARN, "2", "do 3")]
    assert run_check("both", lambda: iter(both)) == both


def test_a_check_that_raises_is_a_failure() -> None:
    def setup_error() -> Iterator[Finding]:
        yield Finding("first", Mark.OK, "fine")
        raise SetupError("Ray does not start; --executor local works without it")

    [finding] = run_check("ray", setup_error)
    assert finding == Finding("ray", Mark.FAIL, "Ray does not start; --executor local works without it")

    def bug() -> Iterator[Finding]:
        raise OSError("no\n  such thing")

    assert run_check("disk", bug) == [Finding("disk", Mark.FAIL, "OSError: no such thing")]
