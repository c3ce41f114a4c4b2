"""Types and values in the words of somebody who writes YAML."""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs

from bebertlab.interfaces.options import Options

_NAMES: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    type(None): "null",
    Any: "anything",
    object: "anything",
}


def format_type(of: Any) -> str:  # noqa: ANN401 - any annotation
    """What YAML takes for an annotation.

    >>> format_type(int | None), format_type(Literal["mean", "sum"]), format_type(tuple[float, ...])
    ('a whole number or null', "one of 'mean', 'sum'", 'a list, each item a number')
    """
    origin, arguments = get_origin(of), get_args(of)
    if of in _NAMES:
        return _NAMES[of]
    if origin is Annotated:
        return format_type(arguments[0])
    if origin is Literal:
        return f"one of {', '.join(map(format_value, arguments))}"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(format_type, arguments)))
    if origin is not None:
        return _spoken_container(origin, arguments)
    return _spoken_class(of)


def _spoken_container(origin: Any, arguments: tuple[Any, ...]) -> str:  # noqa: ANN401 - any annotation
    if issubclass(origin, Mapping):
        return f"a mapping, each value {format_type(arguments[1])}"
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)}: {', '.join(map(format_type, arguments))}"
    return f"a list, each item {format_type(arguments[0])}"


def _spoken_class(of: Any) -> str:  # noqa: ANN401 - any annotation
    if isinstance(of, type) and issubclass(of, Enum):
        return f"one of {', '.join(format_value(member.value) for member in of)}"
    if isinstance(of, type) and issubclass(of, Options):
        return f"a {of.role}" if of.role[0] not in "aeiou" else f"an {of.role}"
    if isinstance(of, type) and attrs.has(of):
        return f"a mapping ({', '.join(field.alias for field in attrs.fields(of) if field.init)})"
    return str(of)


def format_value(value: object) -> str:
    """A value as YAML writes it, shortened.

    >>> format_value(True), format_value("2"), format_value(None), format_value({"a": 1})
    ('true', "'2'", 'null', 'a mapping')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return repr(value.value)
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def format_error(error: Exception, name: str, value: object) -> str:
    """The words of a validator, freed of what only programmers care for.

    >>> format_error(ValueError("'epochs' must be > 0: -1"), "epochs", -1)
    'must be > 0, is -1'
    >>> format_error(ValueError("'name' must be in ('a', 'b') (got 'c')", None, ("a", "b"), "c"), "name", "c")
    "must be one of 'a', 'b', is 'c'"
    >>> format_error(ValueError("width 0.3 gives 3.6 heads; take a multiple of 1/12"), "width", 0.3)
    'width 0.3 gives 3.6 heads; take a multiple of 1/12'
    """
    text = str(error.args[0]) if error.args else type(error).__name__
    text = text.removesuffix(".")
    if text.startswith(f"'{name}' must be in ") and len(error.args) >= 3:
        options = ", ".join(format_value(option) for option in error.args[2])
        return f"must be one of {options}, is {format_value(value)}"
    if text == f"Length of '{name}' must be >= 1: 0":
        return "must not be empty"
    for start in (f"'{name}' must ", f"Length of '{name}' must "):
        if text.startswith(start):
            rule, colon, got = text.removeprefix(start).rpartition(": ")
            what = "must " if start.startswith("'") else "length must "
            return f"{what}{rule}, is {got}" if colon else f"{what}{text.removeprefix(start)}"
    return text
