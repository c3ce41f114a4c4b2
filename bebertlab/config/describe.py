"""The options of a class, read from its declaration, so that help and documentation cannot differ from the code."""

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

from bebertlab.config.humanize import format_value
from bebertlab.config.schema import FieldSchema, ListType, MappingType, RecordType, Schema, fields_of
from bebertlab.interfaces.options import Options


@frozen(kw_only=True)
class FieldDescription:
    """One option as a user sees it."""

    name: str
    type: str  #: what YAML takes, e.g. "a list, each item a number"
    required: bool
    default: str  #: as YAML writes it; "" where there is none
    rule: str  #: allowed values, as far as attrs' own validators tell; "" where there is no such limit
    doc: str  #: the text behind `#:`
    fields: tuple[FieldDescription, ...] = ()  #: of a mapping with fixed keys, or of each item of a collection of such
    separator: str = "."  #: between the paths of this option and of `fields`: "." or, of a collection, "[]." or ".*."


def documentation(cls: type[Options]) -> str:
    """The docstring of an options class and, where `build` is annotated with a concrete class, that of the class.

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
    [('an integer or null', '> 0')]
    """
    comments = field_comments(cls)
    own = inspect.get_annotations(cls)
    fields = sorted(fields_of(cls).values(), key=lambda field: field.attribute.name not in own)
    return tuple(_describe_field(field, comments.get(field.attribute.name, "")) for field in fields)


def flatten(fields: Iterable[FieldDescription], prefix: str = "") -> Iterator[tuple[str, FieldDescription]]:
    """Every option by its whole path: `train.epochs`, in a list `questions[].text`, in a mapping `search.*.choice`.

    >>> from bebertlab.interfaces.distillation import Phase
    >>> [path for path, field in flatten(describe(Phase), "phase.")][:2]
    ['phase.name', 'phase.losses']
    """
    for field in fields:
        path = f"{prefix}{field.name}"
        yield path, field
        yield from flatten(field.fields, f"{path}{field.separator}")


def _describe_field(field: FieldSchema, doc: str) -> FieldDescription:
    attribute, schema = field.attribute, field.schema
    nested, separator = _nested_class(schema)
    inner = () if nested is None else describe(nested)
    computed = field.default is attrs.NOTHING and attribute.default is not attrs.NOTHING
    default = _COMPUTED if computed else field.default
    rule = _rule(attribute.validator)
    return FieldDescription(
        name=str(attribute.alias),
        type=str(schema) if nested is None else str(schema).replace(str(RecordType(nested)), "a mapping"),
        required=attribute.default is attrs.NOTHING,
        default="" if default is attrs.NOTHING else _shown(default),
        rule="" if rule.startswith("one of ") and "one of " in str(schema) else rule,  # the type lists them already
        doc=doc,
        fields=tuple(_with_default(option, default) for option in inner),
        separator="." if nested is None else separator,
    )


def _with_default(option: FieldDescription, owner: object) -> FieldDescription:
    """A nested option with the default that it has in the default of the mapping that it belongs to."""
    value = getattr(owner, option.name, attrs.NOTHING) if attrs.has(type(owner)) else attrs.NOTHING
    if value is attrs.NOTHING or option.default == str(_COMPUTED):
        return option
    inner = tuple(_with_default(nested, value) for nested in option.fields)
    return attrs.evolve(option, required=False, default=_shown(value), fields=inner)


def _nested_class(of: Schema) -> tuple[type[Any] | None, str]:
    """The attrs class of a mapping with fixed keys, or of the items of a collection of these, and the separator.

    None for a role: its options depend on the kind, which has its own description.
    """
    match of.alternatives:
        case (RecordType(cls=cls),):
            return cls, "."
        case (ListType(items=(item,)),):
            return _nested_class(item)[0], "[]."
        case (MappingType(value=value),):
            return _nested_class(value)[0], ".*."
    return None, "."


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
    """The `#:` comments by line number, and the numbers of lines that hold nothing else."""
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


class _Computed:
    """Stands for a default that depends on other options."""

    def __str__(self) -> str:
        return "computed"


_COMPUTED = _Computed()


def _shown(value: object) -> str:
    if value is _COMPUTED:
        return str(value)
    if isinstance(value, Options):
        options = attrs.asdict(value, recurse=False)
        return _shown({"kind": value.kind, **options}) if options else value.kind
    if attrs.has(type(value)):
        return "those of its options"
    if isinstance(value, (tuple, list, set, frozenset)):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_shown(item)}" for name, item in value.items()) + "}"
    return format_value(value).strip("'")


def _rule(validator: Any) -> str:  # noqa: ANN401 - attrs' validators share no class
    """The rule of one of attrs' own validators, e.g. `> 0`; "" for others, whose rule is in their error message."""
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
    # attrs adds no docstring; an inherited one would describe the role, not the part
    return inspect.cleandoc(vars(cls).get("__doc__") or "")
