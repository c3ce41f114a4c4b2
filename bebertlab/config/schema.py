"""What YAML may hold where a value of an annotated type belongs.

Reading options from YAML, their documentation, paths into a recipe and the defaults of `train` are derived from these
descriptions; nothing else takes annotations apart. As text they are what users read: `str(schema_of(int | None))` is
"an integer or null".
"""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
from attrs import frozen

from bebertlab.config.humanize import format_value
from bebertlab.interfaces.options import Options
from bebertlab.registry.registry import Registry

#: what builds a value of a type from a list
_BUILDERS: Mapping[Any, Any] = types.MappingProxyType(
    {Sequence: tuple, Collection: tuple, AbstractSet: frozenset} | {cls: cls for cls in (tuple, list, frozenset, set)}
)
_NULL = type(None)
_NAMES: Mapping[object, str] = types.MappingProxyType(
    {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path", object: "anything"}
)


@frozen
class ScalarType:
    """A number, text or path, or anything at all."""

    type: Any  #: a class; `object` for anything

    def __str__(self) -> str:
        return _NAMES.get(self.type, str(self.type))


@frozen
class ChoiceType:
    """One of several values: a Literal or an enumeration."""

    values: tuple[object, ...]

    def __str__(self) -> str:
        return f"one of {', '.join(map(format_value, self.values))}"


@frozen
class RoleType:
    """Options of a role: a mapping whose `kind` decides the class, or the bare kind."""

    bases: tuple[type[Options], ...]  #: the class is a subclass of one of them

    @property
    def name(self) -> str:
        """The name of the role."""
        return self.bases[0].role

    def __str__(self) -> str:
        return f"a {self.name}" if self.name[0] not in "aeiou" else f"an {self.name}"


@frozen
class RecordType:
    """A mapping with fixed keys: the fields of an attrs class."""

    cls: type[Any]

    def __str__(self) -> str:
        return f"a mapping ({', '.join(field.alias for field in attrs.fields(self.cls) if field.init)})"


@frozen
class ListType:
    """A list of any length with items of one type, or of a fixed length with a type for each position."""

    items: tuple[Schema, ...]
    fixed: bool
    build: Callable[[list[object]], object]  #: from a list to the annotated type

    def at(self, index: int) -> Schema:
        """The type of an item; of one too many in a list of a fixed length, that of the last."""
        return self.items[min(index, len(self.items) - 1)]

    def __str__(self) -> str:
        if self.fixed:
            return f"a list of {len(self.items)}: {', '.join(map(str, self.items))}"
        return f"a list, each item {self.items[0]}"


@frozen
class MappingType:
    """A mapping with any keys."""

    key: Schema
    value: Schema

    def __str__(self) -> str:
        return f"a mapping, each value {self.value}"


Alternative = ScalarType | ChoiceType | RoleType | RecordType | ListType | MappingType


@frozen(kw_only=True)
class Schema:
    """A type: one of several alternatives, or null."""

    annotation: Any
    alternatives: tuple[Alternative, ...]  #: in the order of the annotation; options are one, also of several classes
    nullable: bool

    @property
    def role(self) -> RoleType | None:
        """The alternative that is options; None if there is none."""
        return next((type_ for type_ in self.alternatives if isinstance(type_, RoleType)), None)

    @property
    def record(self) -> type[Any] | None:
        """The class of the first alternative with fixed keys; None if there is none."""
        return next((type_.cls for type_ in self.alternatives if isinstance(type_, RecordType)), None)

    def takes(self, scalar: type) -> bool:
        """Whether a scalar of a class is an alternative.

        >>> schema_of(int | None).takes(int), schema_of(tuple[int, ...]).takes(int)
        (True, False)
        """
        return ScalarType(scalar) in self.alternatives

    def class_of(self, data: object, registry: Registry) -> type[Any] | None:
        """The class of the value that plain data stand for; None where it has no fields or its kind is not known."""
        if self.role is None:
            return self.record
        kind = data.get("kind") if isinstance(data, Mapping) else data
        if not isinstance(kind, str) or kind not in registry.kinds(self.role.name):
            return None
        return registry.find(self.role.name, kind)

    def items(self, data: object) -> Iterator[tuple[Any, Any, Schema]]:
        """Keys, items and their types of a list or of a mapping with any keys; nothing for other data."""
        for alternative in self.alternatives:
            if isinstance(alternative, MappingType) and isinstance(data, Mapping):
                return ((key, item, alternative.value) for key, item in data.items())
            if isinstance(alternative, ListType) and isinstance(data, list):
                return ((index, item, alternative.at(index)) for index, item in enumerate(data))
        return iter(())

    def __str__(self) -> str:
        names = dict.fromkeys(map(str, self.alternatives))
        return " or ".join([*names, "null"] if self.nullable else names)


@frozen(kw_only=True)
class FieldSchema:
    """A field of an attrs class."""

    attribute: attrs.Attribute[Any]
    schema: Schema

    @property
    def default(self) -> object:
        """The default value; `attrs.NOTHING` where there is none or one that depends on other fields."""
        default: Any = self.attribute.default
        if not isinstance(default, attrs.Factory):  # type: ignore[arg-type] # a class, typed as a function
            return default
        return attrs.NOTHING if default.takes_self else default.factory()


def fields_of(cls: type[Any]) -> Mapping[str, FieldSchema]:
    """The fields of an attrs class by their names in YAML."""
    return _fields_of(cls)  # type: ignore[arg-type] # mypy takes type[Any] for unhashable


def schema_of(annotation: Any) -> Schema:  # noqa: ANN401 - any annotation
    """The description of an annotated type.

    >>> str(schema_of(tuple[float, ...])), str(schema_of(Literal["mean", "sum"] | None))
    ('a list, each item a number', "one of 'mean', 'sum' or null")
    """
    members = tuple(_members(annotation))
    bases = tuple(member for member in members if _is_subclass(member, Options))
    alternatives = tuple(
        RoleType(bases) if member in bases else _alternative(member)
        for member in members
        if member not in (_NULL, *bases[1:])
    )
    return Schema(annotation=annotation, alternatives=alternatives, nullable=_NULL in members)


def _members(annotation: object) -> Iterator[Any]:
    """The types of a union, or the type itself, without what is attached to it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _members(arguments[0])
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _members(argument)
    else:
        yield annotation


def _alternative(of: Any) -> Alternative:  # noqa: ANN401 - any annotation
    origin, arguments = get_origin(of), get_args(of)
    if origin is Literal:
        return ChoiceType(arguments)
    if _is_subclass(origin, Mapping):
        return MappingType(*map(schema_of, arguments))
    if origin in _BUILDERS:
        fixed = origin is tuple and Ellipsis not in arguments
        items = arguments if fixed else arguments[:1]
        return ListType(tuple(map(schema_of, items)), fixed=fixed, build=_BUILDERS[origin])
    if _is_subclass(of, Enum):
        return ChoiceType(tuple(of))
    if isinstance(of, type) and attrs.has(of):
        return RecordType(of)
    return ScalarType(object if of is Any else of)


def _is_subclass(of: object, base: type) -> bool:
    return isinstance(of, type) and issubclass(of, base)


@cache
def _fields_of(cls: type[Any]) -> Mapping[str, FieldSchema]:
    fields = [field for field in attrs.fields(attrs.resolve_types(cls)) if field.init]
    return types.MappingProxyType(
        {str(field.alias): FieldSchema(attribute=field, schema=schema_of(field.type)) for field in fields}
    )
