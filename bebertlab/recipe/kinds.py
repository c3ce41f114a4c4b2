"""Which class a document means at a place, and what its fields are."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import attrs

from bebertlab.config.document import Document, Keys
from bebertlab.interfaces.options import Options
from bebertlab.registry import Registry


def class_at(document: Document, path: Keys, of: object, registry: Registry) -> type[Any] | None:
    """The class of the value that a document holds at a path of an annotated type; None where it cannot be told."""
    role = role_of(of)
    if role is None:
        return next((one for one in alternatives(of) if isinstance(one, type) and attrs.has(one)), None)
    data = document.get(path) if document.has(path) else None
    kind = data.get("kind") if isinstance(data, Mapping) else data
    if not isinstance(kind, str) or kind not in registry.kinds(role):
        return None
    return registry.find(role, kind)


def role_of(of: object) -> str | None:
    """The role of an annotated type; None where it is not that of options.

    >>> from bebertlab.interfaces.task import TaskOptions
    >>> role_of(TaskOptions | None), role_of(int)
    ('task', None)
    """
    return next((one.role for one in alternatives(of) if isinstance(one, type) and issubclass(one, Options)), None)


def alternatives(of: object) -> tuple[object, ...]:
    """The types that a value of an annotated type can have.

    >>> alternatives(int | None)
    (<class 'int'>, <class 'NoneType'>)
    """
    origin = get_origin(of)
    if origin is Annotated:
        return alternatives(get_args(of)[0])
    return get_args(of) if origin in (Union, types.UnionType) else (of,)


def fields_of(cls: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    """The fields of an attrs class by their names in YAML, with resolved types."""
    return {field.alias: field for field in attrs.fields(attrs.resolve_types(cls)) if field.init}


def default_of(field: attrs.Attribute[Any]) -> object:
    """The default value of a field; `attrs.NOTHING` where it has none or one that depends on other fields."""
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type] # a class at run time
        factory: Any = field.default
        return attrs.NOTHING if factory.takes_self else factory.factory()
    return field.default


def items_of(data: object, of: object) -> Iterator[tuple[str | int, Any, Any]]:
    """Keys, items and their annotated types of a list or a mapping."""
    for kind in alternatives(of):
        origin, arguments = get_origin(kind), get_args(kind)
        if not isinstance(origin, type) or not arguments:
            continue
        if isinstance(data, Mapping) and issubclass(origin, Mapping):
            yield from ((key, item, arguments[1]) for key, item in data.items())
            return
        if isinstance(data, list) and not issubclass(origin, Mapping):
            fixed = origin is tuple and Ellipsis not in arguments and len(arguments) == len(data)
            yield from ((i, item, arguments[i] if fixed else arguments[0]) for i, item in enumerate(data))
            return
