from __future__ import annotations

import io

import pytest

from bebertlab.cli.text_progress import TextProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def shown(stream: io.StringIO, total: int | None, *, hidden: bool = False) -> str:
    with TextProgress(total, stream, hidden=hidden) as progress:
        progress.update(50, 1234)
    return stream.getvalue()


def test_a_terminal_shows_the_share_and_the_number_of_texts() -> None:
    text = shown(Terminal(), 200)
    assert "25%" in text
    assert "1,234 texts" in text


def test_without_a_total_there_is_no_share() -> None:
    text = shown(Terminal(), None)
    assert "%" not in text
    assert "1,234 texts" in text


def test_nothing_is_shown_in_a_file_or_where_it_is_hidden() -> None:
    assert shown(io.StringIO(), 200) == ""
    assert shown(Terminal(), 200, hidden=True) == ""
