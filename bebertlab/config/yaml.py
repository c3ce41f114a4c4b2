"""YAML 1.2 to plain data with places. No code tags, no duplicate keys; `no` is text and `1e-3` a number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from bebertlab.config.document import Keys, Place, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.errors import UserError
from bebertlab.files import MOST_LEVELS

_WORDS = re.compile(r"[A-Za-z_./](?:[\w ./*+-]*[\w./*+-])?", re.ASCII)
_TOO_DEEP = f"is nested more than {MOST_LEVELS} levels deep"
_TAG = "tag:yaml.org,2002:"
_NUMBERS = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float")}
# types of YAML 1.1 that the parser still recognizes; text in 1.2
_TEXTS = {f"{_TAG}{name}" for name in ("str", "timestamp", "value")}


def read_yaml(path: Path) -> YamlDocument:
    """Read a file.

    Raises:
        UserError: the file cannot be read, is not valid YAML, or has duplicate keys; all errors with their places.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, expected a file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return parse_yaml(text, str(path), folder=str(path.parent))


def parse_yaml(text: str, origin: str, *, folder: str = "") -> YamlDocument:
    """Parse the text of a file.

    Args:
        origin: name of the file in messages.
        folder: base of its relative paths; empty: the current folder.

    Raises:
        UserError: it is not valid YAML or has duplicate keys; all errors with their places.
    """
    reader = _Reader(origin, folder=folder)
    document = reader.read(text)
    reader.errors.raise_all()
    return document


def parse_value(text: str, origin: str) -> Any:  # noqa: ANN401 - plain data
    """Parse a value of the command line.

    >>> parse_value("[none, 1e-3, 2]", "--set x=[none, 1e-3, 2]")
    ['none', 0.001, 2]

    Raises:
        UserError: it is not valid YAML; names the origin.
    """
    reader = _Reader(origin, in_file=False)
    document = reader.read(text)
    reader.errors.raise_all()
    return document.data


def to_yaml(data: object) -> str:
    """Plain data as YAML text; parsing it returns the same data.

    >>> print(to_yaml({"name": "a", "sizes": [1, 2]}), end="")
    name: a
    sizes: [1, 2]
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = None  # innermost lists and mappings on one line
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    stream = StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


class _Representer(SafeRepresenter):
    """Quotes every text that is not a plain word or path: the emitter leaves ":0" bare, which parses differently."""

    def represent_text(self, text: str) -> ScalarNode:
        """A text as a scalar node; the emitter quotes words such as "null" itself."""
        style = None if _WORDS.fullmatch(text) else '"'
        return self.represent_scalar(f"{_TAG}str", text, style=style)


_Representer.add_representer(str, _Representer.represent_text)
_Representer.add_representer(MappingProxyType, _Representer.represent_dict)


class _Reader:
    """One pass over the node tree: data, places and errors."""

    def __init__(self, origin: str, *, in_file: bool = True, folder: str = "") -> None:
        self.origin = origin
        self.folder = folder
        self.in_file = in_file
        self.errors = ErrorCollector()
        self.values: dict[Keys, Place] = {}
        self.keys: dict[Keys, Place] = {}
        self.open: list[Node] = []
        self.yaml = YAML(typ="safe", pure=True)

    def read(self, text: str) -> YamlDocument:
        """The document of a text; errors are collected."""
        try:
            node = self.yaml.compose(text)
        except YAMLError as error:
            self.syntax(error)
            node = None
        except RecursionError:
            self.errors.add_at(self.place(None), "", _TOO_DEEP)
            node = None
        data = None if node is None else self.value(node, ())
        self.values.setdefault((), self.place(None))
        return YamlDocument(data=data, values=self.values, keys=self.keys)

    def syntax(self, error: YAMLError) -> None:
        """Add a syntax error; the parser stops at the first one."""
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        messages = (error.context, error.problem) if isinstance(error, MarkedYAMLError) else (str(error),)
        what = " ".join(" ".join(str(message).split()) for message in messages if message)
        self.errors.add_at(self.place(mark), "", f"is not valid YAML: {what}")

    def place(self, mark: StringMark | None) -> Place:
        """The place of a mark of the parser, which counts from 0."""
        if not self.in_file:
            return Place(origin=self.origin)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Place(origin=self.origin, line=line, column=column, folder=self.folder)

    def value(self, node: Node, path: Keys) -> Any:  # noqa: ANN401 - plain data
        """The data of a node."""
        self.values[path] = self.place(node.start_mark)
        if isinstance(node, ScalarNode):
            return self.scalar(node, path)
        if len(path) >= MOST_LEVELS:
            self.errors.add_at(self.values[path], "", _TOO_DEEP)
            return None
        if any(node is outer for outer in self.open):
            return self.fail(path, "an alias must not be inside the node that it refers to")
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            return self.fail(path, f"tag '{node.tag}' is not allowed; expected a plain value")
        self.open.append(node)
        try:
            return self.mapping(node.value, path) if isinstance(node, MappingNode) else self.items(node, path)
        finally:
            self.open.pop()

    def items(self, node: Node, path: Keys) -> list[Any]:
        """The data of a list."""
        items: Iterable[Node] = node.value if isinstance(node, SequenceNode) else ()
        return [self.value(item, (*path, index)) for index, item in enumerate(items)]

    def mapping(self, pairs: Iterable[tuple[Node, Node]], path: Keys) -> dict[str, Any]:
        """The data of a mapping."""
        data: dict[str, Any] = {}
        for key_node, value_node in pairs:
            key = self.key(key_node, path)
            if key is None:
                continue
            place = self.place(key_node.start_mark)
            if key in data:
                first = self.keys[(*path, key)]
                where = f", first at line {first.line}" if first.line else ""
                self.errors.add_at(place, ".".join(map(str, (*path, key))), f"duplicate key{where}")
                continue
            self.keys[(*path, key)] = place
            data[key] = self.value(value_node, (*path, key))
        return data

    def key(self, node: Node, path: Keys) -> str | None:
        """The text of a key."""
        if isinstance(node, ScalarNode) and node.tag in _TEXTS:
            return str(node.value)
        if node.tag == f"{_TAG}merge":
            what = "merge keys (<<) are not supported; use extends: other.yaml in a recipe"
        else:
            what = f"a key must be text; quote it: '{node.value}'" if _plain(node) else "a key must be text"
        self.errors.add_at(self.place(node.start_mark), ".".join(map(str, path)), what)
        return None

    def scalar(self, node: ScalarNode, path: Keys) -> Any:  # noqa: ANN401 - plain data
        """The data of a number, text, boolean or null."""
        if node.tag in _TEXTS or node.tag == f"{_TAG}merge":
            return str(node.value)
        if node.tag not in _NUMBERS:
            return self.fail(path, f"tag '{node.tag}' is not allowed; expected a plain value")
        try:
            return self.yaml.constructor.construct_object(node)
        except (YAMLError, ValueError) as error:
            return self.fail(path, f"cannot read '{node.value}': {error}")

    def fail(self, path: Keys, what: str) -> None:
        """Add an error of the value at a path."""
        self.errors.add_at(self.values[path], ".".join(map(str, path)), what)


def _plain(node: Node) -> bool:
    return isinstance(node, ScalarNode)
