"""What an options class takes, read from its declaration: the same text that the code is checked against."""

from __future__ import annotations

import ast
import inspect
import io
import sys
import tokenize
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
from attrs import frozen

from bebertlab.config.humanize import format_type, format_value
from bebertlab.interfaces.options import Options


@frozen(kw_only=True)
class FieldDescription:
    """One option as a user sees it."""

    name: str
    type: str  #: what YAML takes, in words
    required: bool
    default: str  #: as YAML writes it; "" where there is none
    rule: str  #: allowed values, as far as the validators say; "" where anything goes
    doc: str  #: the text behind `#:`
    fields: tuple[FieldDescription, ...] = ()  #: those of a mapping with fixed keys


def documentation(cls: type[Options]) -> str:
    """The docstring of an options class and, where `build` says what it returns, of the part itself.

    >>> from bebertlab.interfaces.options import Options
    >>> documentation(Options).splitlines()[0]
    'One declaration, many uses: YAML validation, `--set`, search, cache key, MLflow parameters, `plugin show`.'
    """
    built = _built(cls)
    texts = [_own_doc(cls), _own_doc(built) if built is not None else ""]
    return "\n\n".join(dict.fromkeys(text for text in texts if text))


def summary(cls: type[Options]) -> str:
    """The first paragraph of the documentation on one line."""
    return " ".join(documentation(cls).split("\n\n")[0].split())


def describe(cls: type[Any]) -> tuple[FieldDescription, ...]:
    """The fields of an attrs class in the order of their declaration, those of its bases last.

    >>> from bebertlab.interfaces.distillation import Phase
    >>> [(field.type, field.rule) for field in describe(Phase) if field.name == "batch_size"]
    [('a whole number or null', '> 0')]
    """
    comments = field_comments(cls)
    fields = [field for field in attrs.fields(attrs.resolve_types(cls)) if field.init]
    return tuple(
        FieldDescription(
            name=field.alias,
            type=format_type(field.type),
            required=field.default is attrs.NOTHING,
            default=_default(field.default),
            rule=_rule(field.validator),
            doc=comments.get(field.name, ""),
            fields=_inner(field.type),
        )
        for field in sorted(fields, key=lambda field: field.inherited)
    )


def _inner(of: Any) -> tuple[FieldDescription, ...]:  # noqa: ANN401 - any annotation
    """The fields of a plain attrs class; those of a role depend on the kind, which has its own description."""
    inner = isinstance(of, type) and attrs.has(of) and not issubclass(of, Options)
    return describe(of) if inner else ()


def field_comments(cls: type[object]) -> dict[str, str]:
    """Field name to the text of its `#:` comment, behind the declaration or on the lines above it."""
    comments: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        node, source = _declaration(owner)
        if node is None:
            continue
        texts, alone = _comments(source)
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                text = " ".join(_around(statement, texts, alone))
                comments.update({statement.target.id: text} if text else {})
    return comments


def _declaration(cls: type[object]) -> tuple[ast.ClassDef | None, str]:
    """The syntax of a class, found by its qualified name, and the source of its module."""
    module = sys.modules.get(cls.__module__)
    try:
        source = inspect.getsource(module) if module is not None else ""
    except (OSError, TypeError):
        return None, ""  # built in, or typed into a prompt
    names = [name for name in cls.__qualname__.split(".") if name != "<locals>"]
    body: Iterable[ast.AST] = ast.parse(source).body
    node: ast.AST | None = None
    for name in names:
        named = (n for n in body if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and n.name == name)
        node = next(named, None)
        body = ast.iter_child_nodes(node) if node is not None else ()
    return (node, source) if isinstance(node, ast.ClassDef) else (None, "")


def _comments(source: str) -> tuple[dict[int, str], set[int]]:
    """The `#:` comments by line, and the lines that hold nothing else."""
    texts: dict[int, str] = {}
    alone: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.string.startswith("#:"):
            texts[token.start[0]] = token.string.removeprefix("#:").strip()
            if not token.line[: token.start[1]].strip():
                alone.add(token.start[0])
    return texts, alone


def _around(statement: ast.stmt, texts: dict[int, str], alone: set[int]) -> Iterator[str]:
    line = statement.lineno - 1
    while line in alone:
        line -= 1
    yield from (texts[number] for number in range(line + 1, statement.lineno))
    last = statement.end_lineno or statement.lineno
    yield from (texts[number] for number in range(statement.lineno, last + 1) if number in texts)


def _default(default: object) -> str:
    if default is attrs.NOTHING:
        return ""
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type] # a class, typed as a function
        made = default.factory  # type: ignore[attr-defined]
        return "{}" if made is dict else "[]" if made in (list, tuple, set, frozenset) else "computed"
    return _shown(default)


def _shown(value: object) -> str:
    if isinstance(value, Options):
        fields = {"kind": value.kind, **attrs.asdict(value, recurse=False)}
        return _shown(fields)
    if attrs.has(type(value)):
        return "the defaults of its fields"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_shown(item)}" for name, item in value.items()) + "}"
    return format_value(value).strip("'")


def _rule(validator: Any) -> str:  # noqa: ANN401 - attrs' validators share no class
    """The rule of one of attrs' own validators in signs; "" for others, whose words come with the fault."""
    for name in ("validator", "_validators"):
        inner = getattr(validator, name, None)
        if inner is not None:
            parts = inner if isinstance(inner, tuple) else (inner,)
            return " and ".join(dict.fromkeys(rule for rule in map(_rule, parts) if rule))
    if hasattr(validator, "compare_op") and hasattr(validator, "bound"):
        return f"{validator.compare_op} {format_value(validator.bound)}"
    if hasattr(validator, "options"):
        return f"one of {', '.join(map(_shown, validator.options))}"
    if hasattr(validator, "min_length"):
        return f"at least {validator.min_length} {'item' if validator.min_length == 1 else 'items'}"
    return ""


def _built(cls: type[Options]) -> type[object] | None:
    try:
        built = typing.get_type_hints(getattr(cls, "build", None)).get("return")
    except (NameError, TypeError):
        return None  # no build, or one annotated with what only type checkers import
    return built if isinstance(built, type) and not inspect.isabstract(built) else None


def _own_doc(cls: type[object]) -> str:
    # attrs writes no docstring of its own; an inherited one would describe the role, not the part
    return inspect.cleandoc(vars(cls).get("__doc__") or "")
