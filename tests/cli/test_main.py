from __future__ import annotations

import errno
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from bebertlab import __version__
from bebertlab.cli.main import EXIT_INTERNAL, main
from bebertlab.cli.options import Settings, pass_settings
from bebertlab.errors import SetupError, UserError

HEAVY = ["torch", "ray", "mlflow", "transformers", "datasets", "optuna", "sklearn", "scipy", "matplotlib", "pandas"]
SCRIPT = f"""
import json, sys
from bebertlab.cli.main import main
for path in json.loads(sys.argv[1]):
    main([*path, "--help"], prog_name="bebertlab", standalone_mode=False)
    print("heavy:", *path, *sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)
"""


def commands(group: click.Command = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            inner = group.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseException]:
    """A command that raises the error in the mapping."""
    raised: dict[str, BaseException] = {}

    @click.command()
    def doctor() -> None:
        raise raised["error"]

    monkeypatch.setattr("bebertlab.cli.main.LazyGroup.get_command", lambda *_: doctor)
    return raised


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"], prog_name="bebertlab")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"Usage: {' '.join(('bebertlab', *path))}")


def test_help_of_every_command_imports_nothing_heavy() -> None:
    paths = list(commands())
    arguments = [sys.executable, "-c", SCRIPT, json.dumps(paths)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.splitlines() == [" ".join(["heavy:", *path]) for path in paths]


def test_version_of_the_module_and_of_the_script() -> None:
    done = subprocess.run([sys.executable, "-m", "bebertlab", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"bebertlab, version {__version__}\n"


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["studi"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such command 'studi'" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("f:1:2: x: wrong"), 2, "error: f:1:2: x: wrong\n"),
        (SetupError("no hub"), 3, "error: no hub\n"),
        (
            OSError(28, "No space left on device", "a/model.safetensors"),
            3,
            "error: the disk is full: a/model.safetensors; free some space and run the same command again\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted; run again with:\n  bebertlab doctor\n"),
    ],
)
def test_errors_go_to_stderr_without_a_traceback(
    failing: dict[str, BaseException],
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["bebertlab", "doctor"])
    failing["error"] = error
    result = CliRunner().invoke(main, ["doctor"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", message)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/w/plots"),
            "/w/plots: cannot be read or written: Permission",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/w/journal.log"),
            "/w/journal.log: cannot be read or written: R",
        ),
        (
            IsADirectoryError(errno.EISDIR, "Is a directory", "/w/.a.part", None, "/w/a"),
            "/w/a: cannot be read or written: ",
        ),
    ],
)
def test_a_file_that_is_blocked_is_no_bug(failing: dict[str, BaseException], error: OSError, line: str) -> None:
    failing["error"] = error
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 3
    assert result.stderr.startswith(f"error: {line}")
    assert result.stderr.count("\n") == 1


def test_a_missing_file_that_no_one_expects_is_a_bug(failing: dict[str, BaseException]) -> None:
    failing["error"] = FileNotFoundError(errno.ENOENT, "No such file or directory", "/w/a")
    assert CliRunner().invoke(main, ["doctor"]).exit_code == EXIT_INTERNAL


def test_an_unexpected_error_is_one_line_with_a_hint_at_debug(
    failing: dict[str, BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bebertlab", "doctor", "a b"])
    failing["error"] = ZeroDivisionError("one\ntwo")
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == EXIT_INTERNAL
    assert result.stderr == (
        "error: unexpected ZeroDivisionError: one\nshow the traceback with: bebertlab --debug doctor 'a b'\n"
    )


@pytest.mark.parametrize(("error", "code"), [(UserError("x"), 2), (ZeroDivisionError("x"), EXIT_INTERNAL)])
def test_debug_shows_the_traceback(failing: dict[str, BaseException], error: BaseException, code: int) -> None:
    failing["error"] = error
    result = CliRunner().invoke(main, ["--debug", "doctor"])
    assert result.exit_code == code
    assert result.stderr.startswith("error: Traceback (most recent call last):")
    assert 'raise raised["error"]' in result.stderr
    assert result.stderr.endswith(f"{type(error).__name__}: x\n")


@pytest.mark.parametrize("arguments", [["doctor"], ["--debug", "doctor"]])
@pytest.mark.parametrize("error", [UserError("http://me:hunter2@h failed"), ValueError("http://me:hunter2@h failed")])
def test_errors_and_commands_show_no_password(
    failing: dict[str, BaseException], error: BaseException, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bebertlab", "doctor", "--tracking-uri", "http://me:hun ter2@h"])
    failing["error"] = error
    stderr = CliRunner().invoke(main, arguments).stderr
    assert "http://me:***@h failed" in stderr
    assert "ter2" not in stderr


def test_a_closed_pipe_exits_without_a_message(failing: dict[str, BaseException]) -> None:
    failing["error"] = BrokenPipeError(32, "Broken pipe")
    result = CliRunner().invoke(main, ["doctor"])
    assert (result.exit_code, result.stderr) == (1, "")


def test_options_before_the_command_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []

    @click.command()
    @pass_settings
    def doctor(settings: Settings) -> None:
        logging.getLogger("bebertlab.store").info("two words")
        seen.append(settings)

    monkeypatch.setattr("bebertlab.cli.main.LazyGroup.get_command", lambda *_: doctor)
    result = CliRunner().invoke(main, ["-p", __file__, "-v", "doctor"])
    assert result.stderr == "info: two words\n"
    assert [str(path) for path in seen[0].plugins] == [__file__]
    assert (seen[0].verbosity, seen[0].debug) == (1, False)
    assert CliRunner().invoke(main, ["doctor"]).stderr == ""


def test_a_missing_plugin_file_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["-p", "nowhere.py", "plugin", "list"])
    assert result.exit_code == 2
    assert "File 'nowhere.py' does not exist" in result.stderr


def test_usage_errors_show_no_password() -> None:
    result = CliRunner().invoke(main, ["study", "status", "/", "http://me:hun'ter2@host"])
    assert result.exit_code == 2
    assert "hun'ter2" not in result.output
    result = CliRunner().invoke(main, ["store", "list", "http://me:hun'ter2@host"])
    assert "unexpected extra argument (http://me:***@host)" in result.output
