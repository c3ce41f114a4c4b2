"""Fills in the generated parts of the documentation: a hook of mkdocs.

A page asks for a part by a comment on its own line:

    <!-- generated: kinds quantizer -->

So the tables of options, commands, hooks, metrics and packages are those of the code; the text around them is written
by hand.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bebertlab.cli.main import main
from bebertlab.config.describe import describe, documentation, flatten, summary
from bebertlab.formats import FORMATS
from bebertlab.interfaces.capabilities import CAPABILITIES
from bebertlab.interfaces.metric_names import METRICS
from bebertlab.interfaces.roles import ROLES, role_of_hook
from bebertlab.registry.hookspecs import hook_specifications
from bebertlab.registry.manager import load_plugins

if TYPE_CHECKING:
    from bebertlab.registry.registry import Registry, RegistryEntry

_ROOT = Path(__file__).parents[1]
_DIRECTIVE = re.compile(r"^<!-- generated: (.*) -->$", flags=re.MULTILINE)
#: labels that start a paragraph in the docstring of a part
_LABEL = re.compile(r"(Shape|Gradient|Source|Differs|Formula|Forward|Backward|Raises): ")
_CODE = re.compile(r"(`[^`]*`)")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace every request for a generated part; called by mkdocs for each page.

    Raises:
        ValueError: a page asks for a part that does not exist.
    """
    return _DIRECTIVE.sub(lambda match: generate(match[1]), markdown)


def generate(request: str) -> str:
    """The Markdown of one part, e.g. of `kinds quantizer`.

    Raises:
        ValueError: no part has that name.
    """
    name, *arguments = shlex.split(request)
    if name not in PARTS:
        raise ValueError(f"unknown generated part '{name}'; known: {', '.join(PARTS)}")
    return PARTS[name](*arguments)


def roles(folder: str = "") -> str:
    """Every role with its hook, its meaning and its kinds; `folder` holds the pages of the roles."""
    rows = []
    for role in ROLES:
        page = f"{folder}{role.hook.removeprefix('bebertlab_')}.md"
        kinds = ", ".join(f"[`{kind}`]({page}#{kind})" for kind in _registry().kinds(role.name))
        rows.append((f"[{role.name}]({page})", f"`{role.hook}`", _text(role.summary), kinds))
    return _table(("role", "hook", "contributes", "kinds"), rows)


def kits() -> str:
    """Every role with the classes that a plugin derives from and the kit that checks them."""
    rows = [
        (role.name, ", ".join(f"`{cls.__name__}`" for cls in role.options), f"`{role.hook}`", f"`{role.kit}`")
        for role in ROLES
    ]
    return _table(("role", "options class", "hook", "kit in `bebertlab.testing`"), rows)


def kinds(name: str) -> str:
    """Every kind of a role with its description and all its options.

    Raises:
        ValueError: there is no such role.
    """
    role = next((role for role in ROLES if role.name == name), None)
    if role is None:
        raise ValueError(f"unknown role '{name}'; known: {', '.join(role.name for role in ROLES)}")
    entries = [entry for entry in _registry().all() if entry.role == name]
    rows = [(f"[`{entry.kind}`](#{entry.kind})", f"`{entry.plugin}`", _text(summary(entry.cls))) for entry in entries]
    overview = _table(("kind", "plugin", "description"), rows)
    return "\n\n".join([f"{_text(role.summary)} Hook: `{role.hook}`.", overview, *map(_kind_section, entries)])


def options(path: str) -> str:
    """The options of an attrs class, named `module:Class`, with those of nested mappings."""
    module, _, name = path.partition(":")
    return _option_table(getattr(importlib.import_module(module), name))


def commands() -> str:
    """Every command with its usage, its help and its options, the groups in the order of `bebertlab --help`."""
    return "\n\n".join(map(_command_section, _contexts(click.Context(main, info_name="bebertlab"))))


def hooks() -> str:
    """The hooks of observers, in the order of their declaration, with their arguments."""
    observers = [hook for name, hook in hook_specifications().items() if role_of_hook(name) is None]
    return "\n\n".join(map(_hook_section, observers))


def metrics() -> str:
    """Every metric with its unit, the better direction and what it measures."""
    better = {True: "higher", False: "lower", None: ""}
    rows = [(f"`{info.name}`", _text(info.unit), better[info.maximize], _text(info.description)) for info in METRICS]
    return _table(("name", "unit", "better", "meaning"), rows)


def capabilities() -> str:
    """Every capability of quantizers: what a quantizer has, and the first sentence of its protocol."""
    rows = [
        (f"`{protocol.__name__}`", f"`{attribute}`", _text(summary(protocol)))
        for attribute, protocol in CAPABILITIES.items()
    ]
    return _table(("protocol", "method or attribute", "meaning"), rows)


def formats() -> str:
    """Every format of a file that is kept, with its number and what to do about a file with another one."""
    rows = [
        (_text(format_.name), _file(format_.path), str(format_.number), _text(format_.remedy) or "built again")
        for format_ in FORMATS
    ]
    return _table(("content", "file", "format", "if the number is another"), rows)


def _file(path: str) -> str:
    """A path as code; of words such as "member.json of an artifact" the name of the file."""
    name, of, whose = path.partition(" of ")
    return f"`{name}`{of}{whose}" if re.search(r"[._/]", name) else path


def packages(folder: str) -> str:
    """Every package in a folder of the repository, and every module next to them, with its first sentence."""
    modules = [path for path in (_ROOT / folder).iterdir() if path.suffix == ".py" and not path.stem.startswith("__")]
    paths = [path.parent for path in (_ROOT / folder).glob("*/__init__.py")]
    sources = {path: path / "__init__.py" for path in sorted(paths)} | {path: path for path in sorted(modules)}
    rows = [
        (f"`{path.relative_to(_ROOT).as_posix()}{'/' if path.is_dir() else ''}`", _text(_first_sentence(source)))
        for path, source in sources.items()
    ]
    return _table(("path", "content"), rows)


def _first_sentence(source: Path) -> str:
    docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n\n")[0].replace("\n", " ")


def _hook_section(hook: Callable[..., object]) -> str:
    name, parameters = hook.__name__, inspect.signature(hook).parameters.values()
    arguments = ", ".join(f"{parameter.name}: {parameter.annotation}" for parameter in parameters)
    text = _prose(inspect.getdoc(hook) or "")
    return f"### `{name}`\n\n```python\ndef {name}({arguments}) -> None\n```\n\n{text}"


def _kind_section(entry: RegistryEntry) -> str:
    head = f"## `{entry.kind}` {{ #{entry.kind} }}"
    return "\n\n".join([head, _prose(documentation(entry.cls)), _option_table(entry.cls)])


def _option_table(cls: type[Any]) -> str:
    rows = [
        (
            f"`{path}`",
            _text(field.type),
            "required" if field.required else _literal(field.default),
            _literal(field.rule),
            _text(field.doc),
        )
        for path, field in flatten(describe(cls))
    ]
    return _table(("option", "takes", "default", "rule", "meaning"), rows) if rows else "No options."


def _command_section(context: click.Context) -> str:
    command = context.command
    level = "#" * max(2, len(context.command_path.split()))
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"{level} `{context.command_path}`", f"```text\n{usage}\n```", _help(command)]
    rows = [_option_row(parameter, context) for parameter in command.params if isinstance(parameter, click.Option)]
    return "\n\n".join([*parts, _table(("option", "meaning"), rows)] if rows else parts)


def _option_row(option: click.Option, context: click.Context) -> tuple[str, str]:
    record = option.get_help_record(context)
    names, meaning = record if record is not None else (", ".join(option.opts), option.help or "")
    return f"`{names}`".replace("|", "\\|"), _text(" ".join(meaning.split()))


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """The context of a command and those of all commands below it."""
    yield context
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        child = group.get_command(context, name)
        if child is not None:
            yield from _contexts(click.Context(child, info_name=name, parent=context))


def _help(command: click.Command) -> str:
    return _text(inspect.cleandoc(command.help or "").replace("\b\n", ""), in_table=False)


@cache
def _registry() -> Registry:
    plugins = load_plugins()
    if plugins.failures:
        raise ValueError("; ".join(map(str, plugins.failures)))
    return plugins.registry


def _prose(docstring: str) -> str:
    """A docstring as Markdown: labels start paragraphs, examples are code."""
    paragraphs: list[str] = []
    for block in docstring.split("\n\n"):
        paragraphs += _paragraphs(block.splitlines())
    return "\n\n".join(paragraphs)


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    text: list[str] = []
    example: list[str] = []
    for line in lines:
        if line.startswith(">>>") or example:
            example.append(line)
        elif _LABEL.match(line) and text:
            yield _labelled(text)
            text = [line]
        else:
            text.append(line.rstrip())
    if text:
        yield _labelled(text)
    if example:
        yield "\n".join(["```pycon", *example, "```"])


def _labelled(lines: Sequence[str]) -> str:
    text = _text("\n".join(lines), in_table=False)
    return _LABEL.sub(lambda match: f"**{match[1]}**: ", text, count=1) if _LABEL.match(text) else text


def _text(text: str, *, in_table: bool = True) -> str:
    """Plain text as Markdown: signs that Markdown would read are escaped, except in `code`."""
    parts = [
        part if part.startswith("`") else re.sub(r"([<*_\[\]])", r"\\\1", part) for part in _CODE.split(text) if part
    ]
    escaped = "".join(parts)
    return escaped.replace("|", "\\|") if in_table else escaped


def _literal(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


#: name of a part to the function that writes it; further words of the request are its arguments
PARTS: dict[str, Callable[..., str]] = {
    "roles": roles,
    "kits": kits,
    "kinds": kinds,
    "options": options,
    "commands": commands,
    "hooks": hooks,
    "metrics": metrics,
    "capabilities": capabilities,
    "formats": formats,
    "packages": packages,
}
