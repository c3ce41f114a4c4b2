from __future__ import annotations

from collections.abc import Iterator

from bebertlab.cli.health.finding import Finding, Mark, look
from bebertlab.errors import SetupError


def test_findings_come_through_in_order() -> None:
    both = [Finding("a", Mark.OK, "1"), Finding("b", Mark.WARN, "2", "do 3")]
    assert look("both", lambda: iter(both)) == both


def test_a_check_that_raises_is_a_failure_with_its_name() -> None:
    def fault() -> Iterator[Finding]:
        yield Finding("first", Mark.OK, "fine")
        raise SetupError("Ray does not start; --executor local works without it")

    [finding] = look("ray", fault)
    assert finding == Finding("ray", Mark.FAIL, "Ray does not start; --executor local works without it")

    def defect() -> Iterator[Finding]:
        raise OSError("no\n  such thing")

    assert look("disk", defect) == [Finding("disk", Mark.FAIL, "OSError: no such thing")]
