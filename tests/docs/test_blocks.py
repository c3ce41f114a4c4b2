"""Every code block of the README and of the documentation is run, or checked as far as it can be without running.

A comment on the line before a block selects the check:

- `<!-- check: parse -->`: the commands of a console block are parsed only, since their files do not exist; a Python
  block is compiled, and its imports are run.
- `<!-- check: validate -->`: they are parsed, and the study or recipe is validated with every `--set`, since they need
  data, a GPU, a server or hours.
- `<!-- check: slow -->`: the same, unless BEBERTLAB_SLOW_BLOCKS=1 is set: then they run, and their output is compared.
- `<!-- check: recipe -->` and `<!-- check: study -->`: a YAML block is a part of a recipe or study, merged into
  `studies/recipes/bebert.yaml` or `studies/ensemble_ablation.yaml`.
- `<!-- check: error -->`: a study is refused.

Without a comment, Python and console blocks run, all of a page in one folder that contains `studies/`, and a block with
`title="FILE"` is written to that file. Where a console block shows output, it is compared, except for keys, times and
sizes of files; `...` stands for any text in a line, and on a line alone for any lines.
"""

from __future__ import annotations

import ast
import io
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click
import pytest
from attrs import frozen
from click.testing import CliRunner
from ruamel.yaml import YAML

from bebertlab.cli.main import main
from bebertlab.registry.manager import load_plugins

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(
    r"(?:^[ ]*<!-- check: (?P<check>[a-z]+) -->\n)?"
    r"^(?P<indent>[ ]*)```(?P<language>[a-z]*)(?P<attributes>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    flags=re.MULTILINE | re.DOTALL,
)
_SNIPPET = re.compile(r'^--8<-- "(.*)"\n', flags=re.MULTILINE)
_TITLE = re.compile(r'title="([^"]+)"')
#: patterns of values that differ between runs, and their replacements
_VOLATILE = (
    (re.compile(r"\b(?=[a-f]*[0-9])[0-9a-f]{8,64}\b"), "KEY"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\+00:00)?"), "TIME"),
    (re.compile(r"\b\d+(\.\d+)? (s|min|h|KiB|MiB|GiB)\b"), "AMOUNT"),
    (re.compile(r"  \d+\.\d$", flags=re.MULTILINE), " AMOUNT"),  # the last column of a table is seconds
    (re.compile(r" +"), " "),
)
#: other programs in console blocks, which are not run
_OTHER_PROGRAMS = (
    "cd",
    "curl",
    "docker",
    "export",
    "git",
    "kill",
    "mkdocs",
    "mlflow",
    "pip",
    "pytest",
    "python",
    "ray",
    "tox",
)
_BASES = {"recipe": "studies/recipes/bebert.yaml", "study": "studies/ensemble_ablation.yaml"}
_RUN_SLOW = bool(os.environ.get("BEBERTLAB_SLOW_BLOCKS"))


@frozen(kw_only=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    title: str | None
    check: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@frozen(kw_only=True)
class Command:
    """A command of a console block, and the output that the block shows for it."""

    text: str
    output: str

    @property
    def arguments(self) -> list[str]:
        return shlex.split(self.text, comments=True)


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=text[: match.start("language")].count("\n") + 1,
            language=match["language"],
            title=title[1] if (title := _TITLE.search(match["attributes"])) else None,
            check=match["check"],
            text=_SNIPPET.sub(_included, re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)),
        )
        for match in _FENCE.finditer(text)
    ]


def _included(match: re.Match[str]) -> str:
    return (ROOT / match[1]).read_text(encoding="utf-8")


def commands(block: Block) -> list[Command]:
    """The commands of a block: lines that start with `$ `, and what follows each."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not parts[0].strip(), f"{block}: a console block starts with `$ `"
    actual = []
    for part in parts[1:]:
        command, _, output = part.replace("\\\n", " ").partition("\n")
        actual.append(Command(text=command, output=output))
    return actual


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_parsed_into_blocks(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = blocks(page)
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(listed)
    if not listed:
        return
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BEBERTLAB_WORK", raising=False)
    monkeypatch.delenv("BEBERTLAB_GLUE", raising=False)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in listed:
        if block.title is not None:
            path = tmp_path / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        _check(block, names)


def _check(block: Block, names: dict[str, Any]) -> None:
    match block.language:
        case "python" if block.title is not None:
            plugins = load_plugins([Path(block.title)])
            assert not plugins.failures, f"{block}: {plugins.failures[0].traceback or plugins.failures[0]}"
        case "python" if block.check == "parse":
            _import_python(block, names)
        case "python":
            assert block.check is None, f"{block}: unknown check '{block.check}'"
            _run_python(block, names)
        case "yaml":
            _check_yaml(block)
        case "console":
            for command in commands(block):
                _check_command(block, command)
        case "text" | "csv":
            assert block.title is not None, f"{block}: a block of data is a file; give it a title"
        case "bibtex":
            assert re.fullmatch(r"@\w+\{\w+,\n(  \w+ = \{.*\},?\n)+\}\n", block.text), f"{block}: not BibTeX"
        case language:
            pytest.fail(f"{block}: a block of language '{language}' is not checked; write console, python or yaml")


def _run_python(block: Block, names: dict[str, Any]) -> None:
    """Run a block; a comment behind its last print is the output."""
    output = io.StringIO()
    with redirect_stdout(output):
        exec(compile(block.text, str(block), "exec"), names)
    shown = re.findall(r"^print\(.*\)  # (.*)$", block.text, flags=re.MULTILINE)
    if shown:
        _compare(f"{block}", output.getvalue(), "\n".join(shown))


def _import_python(block: Block, names: dict[str, Any]) -> None:
    tree = ast.parse(block.text, str(block))
    tree.body = [statement for statement in tree.body if isinstance(statement, ast.Import | ast.ImportFrom)]
    exec(compile(tree, str(block), "exec"), names)


def _check_yaml(block: Block) -> None:
    data = YAML(typ="safe").load(block.text)
    kind = block.check or ("study" if "recipe" in data else "recipe")
    path = Path(block.title or f"block-{kind}.yaml")
    if block.title is None:
        path.write_text(block.text if block.check is None else _merged(data, kind), encoding="utf-8")
    if kind == "recipe":
        _validate_recipe(str(block), str(path), [])
    else:
        assert kind in ("study", "error"), f"{block}: unknown check '{kind}'"
        _validate_study(str(block), str(path), [], exit_code=2 if kind == "error" else 0)


def _merged(data: Mapping[str, Any], kind: str) -> str:
    """A part of a recipe or study as a whole one, over that of the repository."""
    base = Path(_BASES[kind])
    whole = {"extends": str(base), **data}
    if kind == "study":
        whole = {**YAML(typ="safe").load(base.read_text(encoding="utf-8")), "recipe": _BASES["recipe"], **data}
    stream = io.StringIO()
    YAML().dump(whole, stream)
    return stream.getvalue()


def _check_command(block: Block, command: Command) -> None:
    program, *arguments = command.arguments
    if program != "bebertlab":
        assert program in _OTHER_PROGRAMS, f"{block}: unknown program '{program}'"
        return
    path, values = parse(arguments)
    if block.check == "validate" or (block.check == "slow" and not _RUN_SLOW):
        _validate(f"{block}: {command.text}", path, values)
    elif block.check != "parse":
        assert block.check in (None, "slow"), f"{block}: unknown check '{block.check}'"
        result = CliRunner().invoke(main, arguments)
        fails = command.output.startswith("error: ")
        assert (result.exit_code != 0) is fails, f"{block}: {command.text}\n{result.output}"
        if command.output:
            _compare(f"{block}: {command.text}", result.output, command.output)


def parse(arguments: list[str]) -> tuple[str, Mapping[str, Any]]:
    """The path of a command, e.g. `study run`, and the values of its options and arguments by their names in Python.

    Unknown commands and options, and missing arguments, fail. Values are not checked, since files may not exist.
    """
    path: list[str] = []
    values: dict[str, Any] = {}
    command: click.Command = main
    context: click.Context | None = None
    while True:
        context = click.Context(command, info_name="bebertlab", parent=context)
        parsed, arguments, _ = command.make_parser(context).parse_args(args=list(arguments))
        values.update(parsed)
        if not isinstance(command, click.Group):
            missing = [
                p for p in command.params if isinstance(p, click.Argument) and p.required and not parsed[str(p.name)]
            ]
            assert (missing, arguments) == ([], []), f"missing {missing}, unexpected {arguments}"
            return " ".join(path), values
        name, child, arguments = command.resolve_command(context, arguments)
        assert name is not None
        assert child is not None
        path.append(name)
        command = child


def _validate(what: str, command: str, values: Mapping[str, Any]) -> None:
    """Check the study or recipe of a command that does not run, with every `--set`."""
    sets = [part for value in values.get("sets", ()) for part in ("--set", value)]
    if command.startswith("study "):
        _validate_study(what, values["study_name"], [*sets, *(["--smoke"] if values.get("smoke") else [])])
    elif command.startswith("recipe "):
        _validate_recipe(what, values["path"], sets)


def _validate_study(what: str, path: str, options: list[str], exit_code: int = 0) -> None:
    result = CliRunner().invoke(main, [*_plugins(), "study", "validate", path, *options])
    assert result.exit_code == exit_code, f"{what}: {result.output}"


def _validate_recipe(what: str, path: str, sets: list[str]) -> None:
    result = CliRunner().invoke(main, [*_plugins(), "recipe", "plan", path, *sets])
    # 3: the recipe is valid, its data or encoder is not on this machine
    assert result.exit_code in (0, 3), f"{what}: {result.output}"


def _plugins() -> Iterator[str]:
    """Options that load the plugins that the page has written so far."""
    for path in sorted(Path().glob("*.py")):
        yield from ("-p", str(path))


def _compare(what: str, output: str, expected: str) -> None:
    """Compare printed output with that on a page, except values that differ between runs."""
    lines = [re.escape(line).replace(r"\.\.\.", "[^\n]*") for line in _normalized(expected)]
    pattern = "".join(r"(?:[^\n]*\n)*?" if line == "[^\n]*" else rf"{line}\n" for line in lines)
    printed = "".join(f"{line}\n" for line in _normalized(output))
    assert re.fullmatch(pattern, printed), f"{what}\nprinted:\n{output}\nshown:\n{expected}"


def _normalized(text: str) -> list[str]:
    """The lines of an output without keys, times, sizes of files and widths of columns."""
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return [line.rstrip() for line in text.rstrip("\n").splitlines()]


def test_an_unknown_option_of_a_command_fails() -> None:
    with pytest.raises(click.NoSuchOption):
        parse(["study", "run", "x.yaml", "--colour"])


def test_output_differs_where_a_page_shows_other_text() -> None:
    _compare("same", "a 1.2 s\nb\nc\n", "a  3 s\n...\nc\n")
    _compare("same", "key 0123abcd4567 of bebertlab 12\n", "key 89ab89ab89ab of ... 12\n")
    with pytest.raises(AssertionError):
        _compare("different", "score 1.2\n", "score 1.3\n")
