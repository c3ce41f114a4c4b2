from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bebertlab.cli.options import (
    PathType,
    Settings,
    set_option,
    table,
    threads_option,
    typed_command,
    work_option,
)
from bebertlab.registry.manager import DISABLE, GROUP


def test_the_printed_command_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/some/where/bebertlab", "study", "run", "a study.yaml", "--set", "seeds=[0]"])
    assert typed_command() == "bebertlab study run 'a study.yaml' --set 'seeds=[0]'"
    assert typed_command("--debug") == "bebertlab --debug study run 'a study.yaml' --set 'seeds=[0]'"


def test_the_printed_command_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bebertlab", "study", "run", "s.yaml", "--tracking-uri", "http://me:hunter2@h"])
    assert typed_command() == "bebertlab study run s.yaml --tracking-uri 'http://me:***@h'"


def test_a_table_without_rows_has_only_its_head() -> None:
    assert table(["A", "B"], []) == "A  B"


def test_the_work_folder_comes_from_the_option_the_environment_or_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def show(work: object, sets: object, threads: object) -> None:
        click.echo(f"{work} {sets} {threads}")

    command: Callable[..., None] = show
    for decorate in (work_option, set_option, threads_option):
        command = decorate(command)
    shown = click.command()(command)
    runner = CliRunner()
    assert runner.invoke(shown, []).output == "bebertlab-work () 1\n"
    monkeypatch.setenv("BEBERTLAB_WORK", "from-environment")
    assert runner.invoke(shown, ["--set", "a=1", "--set", "b=2"]).output == "from-environment ('a=1', 'b=2') 1\n"
    assert runner.invoke(shown, ["--work", "given", "--threads", "2"]).output == "given () 2\n"


def test_paths_may_begin_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = click.command()(work_option(lambda work: click.echo(work)))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    assert runner.invoke(shown, ["--work=~/x"]).output == f"{tmp_path / 'x'}\n"
    for value, expected in (("~/y", tmp_path / "y"), ("~", tmp_path), ("", "bebertlab-work")):
        monkeypatch.setenv("BEBERTLAB_WORK", value)
        assert runner.invoke(shown, []).output == f"{expected}\n"
    monkeypatch.delenv("BEBERTLAB_WORK")
    result = runner.invoke(shown, ["--work=~nobody-here/x"])
    assert result.exit_code == 2
    assert ": ~nobody-here/x: unknown home folder ~nobody-here" in result.output
    (tmp_path / "there").touch()
    existing = click.command()(click.argument("path", type=PathType(exists=True))(lambda path: click.echo(path)))
    assert runner.invoke(existing, ["~/there"]).output == f"{tmp_path / 'there'}\n"
    assert "'" + str(tmp_path / "gone") + "' does not exist" in runner.invoke(existing, ["~/gone"]).output


GOOD = """
from attrs import frozen
from bebertlab.api import QuantSpec, SchemeOptions, hookimpl

@frozen(kw_only=True)
class Mine(SchemeOptions):
    kind = "mine"

    def spec(self):
        return QuantSpec()

@hookimpl
def bebertlab_schemes():
    return [Mine]
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLE, ",".join(importlib.metadata.entry_points(group=GROUP).names))


def test_plugins_of_the_command_line_and_of_a_study_are_loaded(tmp_path: Path) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text(GOOD)
    second.write_text(GOOD.replace('"mine"', '"yours"'))
    assert Settings(plugins=(first,)).load([second]).registry.kinds("scheme") == ("mine", "yours")


def test_a_warning_names_each_failed_plugin_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert settings.without_printed(f"unknown stage 'x'\n  {failure}\n{failure}") == "unknown stage 'x'"
    assert Settings().without_printed(f"unknown stage 'x'\n{failure}") == f"unknown stage 'x'\n{failure}"
    Settings(plugins=(broken,)).load(quiet=True)
    assert capsys.readouterr() == ("", "")
    Settings(plugins=(broken,), debug=True).load()
    assert 'broken.py", line 1' in capsys.readouterr().err
