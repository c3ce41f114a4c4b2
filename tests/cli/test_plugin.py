from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bebertlab.cli.main import main
from bebertlab.registry.manager import DISABLE, GROUP

PLUGIN = '''
from attrs import field, frozen, validators
from bebertlab.api import QuantSpec, EncoderOptions, SchemeOptions, Splitter, SplitterOptions, hookimpl

@frozen(kw_only=True)
class Mine(SchemeOptions):
    """A scheme of mine.

    Source: me.
    """

    kind = "mine"
    bits: int = field(default=2, validator=validators.ge(1))  #: of a weight
    name: str  #: of its maker

    def spec(self):
        return QuantSpec()

@frozen(kw_only=True)
class Split(SplitterOptions):
    """A splitter of mine."""

    kind = "mine"

    def build(self):
        raise NotImplementedError

@frozen(kw_only=True)
class Plain(Split):
    """Without options."""

    kind = "plain"

@hookimpl
def bebertlab_schemes():
    return [Mine]

@hookimpl
def bebertlab_splitters():
    return [Split, Plain]
'''


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv(DISABLE, ",".join(importlib.metadata.entry_points(group=GROUP).names))
    good, broken = tmp_path / "good.py", tmp_path / "broken.py"
    good.write_text(PLUGIN)
    broken.write_text("import nowhere_at_all")
    return ["-p", str(good), "-p", str(broken)]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_list_shows_every_part_and_every_failure(files: list[str]) -> None:
    result = run(*files, "plugin", "list")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split(maxsplit=3) for line in result.stdout.splitlines() if not line.startswith("disabled")]
    assert lines == [
        ["ROLE", "KIND", "PLUGIN", "DESCRIPTION"],
        ["scheme", "mine", "good.py", "A scheme of mine."],
        ["splitter", "mine", "good.py", "A splitter of mine."],
        ["splitter", "plain", "good.py", "Without options."],
        ["FAILED", "broken.py", "ModuleNotFoundError:", "No module named 'nowhere_at_all'"],
    ]


def test_list_of_one_role_as_json(files: list[str]) -> None:
    data = json.loads(run(*files, "plugin", "list", "--role", "scheme", "--format", "json").stdout)
    assert data["parts"] == [
        {
            "role": "scheme",
            "kind": "mine",
            "revision": 1,
            "summary": "A scheme of mine.",
            "plugin": "good.py",
            "distribution": None,
            "file": files[1],
        }
    ]
    assert [failed["plugin"] for failed in data["failed"]] == ["broken.py"]
    assert "binarybert" in data["disabled"]


def test_list_refuses_an_unknown_role(files: list[str]) -> None:
    result = run(*files, "plugin", "list", "--role", "schema")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: unknown role 'schema'; did you mean 'scheme'?")


def test_list_hints_at_an_old_installation(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bebertlab.registry.manager.forgotten_entry_points", lambda: ("new",))
    result = run(*files, "plugin", "list")
    assert "does not know new of pyproject.toml yet; run `pip install -e .` again" in result.stderr


def test_show_describes_a_part_and_its_options(files: list[str]) -> None:
    result = run(*files, "plugin", "show", "scheme:mine")
    assert (result.exit_code, result.stderr) == (0, "")
    head, *lines = result.stdout.splitlines()
    assert head.startswith("scheme 'mine', revision 1, of plugin 'good.py' (")
    assert lines[1:4] == ["A scheme of mine.", "", "Source: me."]
    assert [line.split("  ")[0] for line in lines[5:]] == ["OPTION", "bits", "name"]
    assert "of a weight" in lines[6]
    assert "(required)" in lines[7]


def test_show_as_json(files: list[str]) -> None:
    data = json.loads(run(*files, "plugin", "show", "scheme:mine", "--format", "json").stdout)
    assert data["doc"].endswith("Source: me.")
    assert [(field["name"], field["rule"]) for field in data["fields"]] == [("bits", ">= 1"), ("name", "")]


def test_show_lists_the_keys_of_a_mapping() -> None:
    lines = run("plugin", "show", "finetune").stdout.splitlines()
    assert any(line.startswith("train ") and "a mapping  " in line for line in lines)
    assert any(line.startswith("train.epochs ") and line.endswith("in each phase") for line in lines)


def test_show_of_a_part_without_options(files: list[str]) -> None:
    assert run(*files, "plugin", "show", "plain").stdout.endswith("It takes no options.\n")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("mine", "error: 'mine' is a kind of several roles; name one of: scheme:mine, splitter:mine\n"),
        ("plane", "error: unknown part 'plane'; did you mean 'plain'? (known: mine, plain)\n  plugin 'broken.py'"),
        ("scheme:mind", "error: unknown scheme 'mind'; did you mean 'mine'? (known: mine)\n  plugin 'broken.py'"),
        ("schema:mine", "error: unknown role 'schema'; did you mean 'scheme'?"),
    ],
)
def test_show_of_an_unknown_or_ambiguous_part(files: list[str], kind: str, message: str) -> None:
    result = run(*files, "plugin", "show", kind)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)
