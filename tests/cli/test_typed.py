from __future__ import annotations

import pytest

from bebertlab.cli.typed import typed_command


def test_the_command_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/some/where/bebertlab", "study", "run", "a study.yaml", "--set", "seeds=[0]"])
    assert typed_command() == "bebertlab study run 'a study.yaml' --set 'seeds=[0]'"
    assert typed_command("--debug") == "bebertlab --debug study run 'a study.yaml' --set 'seeds=[0]'"


def test_the_command_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bebertlab", "study", "run", "s.yaml", "--tracking-uri", "http://me:hunter2@h"])
    assert typed_command() == "bebertlab study run s.yaml --tracking-uri 'http://me:***@h'"
