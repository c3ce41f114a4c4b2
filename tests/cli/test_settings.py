from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from bebertlab.cli.settings import Settings
from bebertlab.manager import DISABLE, GROUP

GOOD = """
from attrs import frozen
from bebertlab.api import Design, SchemeOptions, hookimpl

@frozen(kw_only=True)
class Mine(SchemeOptions):
    kind = "mine"

    def design(self):
        return Design()

@hookimpl
def bebertlab_schemes():
    return [Mine]
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLE, ",".join(importlib.metadata.entry_points(group=GROUP).names))


def test_plugins_of_the_command_line_and_of_a_study_are_loaded(tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text(GOOD)
    two.write_text(GOOD.replace('"mine"', '"yours"'))
    assert Settings(plugins=(one,)).load([two]).registry.kinds("scheme") == ("mine", "yours")


def test_failed_plugins_are_warned_of_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0")
    Settings(plugins=(broken,)).load()
    assert capsys.readouterr() == (
        "",
        f"warning: plugin 'broken.py' ({broken}) failed: ZeroDivisionError: division by zero\n",
    )
    settings = Settings(plugins=(broken,))
    for _ in range(2):
        settings.load()
    assert len(capsys.readouterr().err.splitlines()) == 1
    (failure,) = settings.load().failures
    assert settings.unsaid(f"unknown stage 'x'\n  {failure}\n{failure}") == "unknown stage 'x'"
    assert Settings().unsaid(f"unknown stage 'x'\n{failure}") == f"unknown stage 'x'\n{failure}"
    Settings(plugins=(broken,)).load(quiet=True)
    assert capsys.readouterr() == ("", "")
    Settings(plugins=(broken,), debug=True).load()
    assert 'broken.py", line 1' in capsys.readouterr().err
