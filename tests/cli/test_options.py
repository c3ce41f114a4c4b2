from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bebertlab.cli.options import PathType, set_option, spoken_bytes, spoken_seconds, table, threads_option, work_option


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min")],
)
def test_seconds_are_said(seconds: float, said: str) -> None:
    assert spoken_seconds(seconds) == said


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 2**30, "5.0 GiB"), (5 * 2**40, "5120.0 GiB")],
)
def test_bytes_are_said(size: int, said: str) -> None:
    assert spoken_bytes(size) == said


def test_a_table_without_rows_is_its_head() -> None:
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
    assert ": ~nobody-here/x: no home folder is known for ~nobody-here" in result.output
    (tmp_path / "there").touch()
    existing = click.command()(click.argument("path", type=PathType(exists=True))(lambda path: click.echo(path)))
    assert runner.invoke(existing, ["~/there"]).output == f"{tmp_path / 'there'}\n"
    assert "'" + str(tmp_path / "gone") + "' does not exist" in runner.invoke(existing, ["~/gone"]).output
