"""Plain data to attrs values: strict, with all errors at once.

Every field of every class is checked, even after errors in others. The only coercion is that of integers to floats.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs

from bebertlab.config.document import Keys, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.humanize import format_error, format_type, format_value
from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.options import Options
from bebertlab.locations import expand_home
from bebertlab.registry.registry import Registry

T = TypeVar("T")

_INTEGER_LIMIT = 2**63  # of torch and numpy

_BUILDERS: Mapping[object, Callable[[Any], object]] = types.MappingProxyType(
    {
        tuple: tuple,
        list: list,
        Sequence: tuple,
        Collection: tuple,
        frozenset: frozenset,
        set: set,
        AbstractSet: frozenset,
    }
)


_SCALARS = (bool, int, float, str)


class _Failed:
    """Stands for a value with errors."""


FAILED = _Failed()


def structure(
    document: YamlDocument,
    path: Keys,
    cls: type[T],
    registry: Registry,
    errors: ErrorCollector,
    *,
    finite: bool = True,
) -> T | None:
    """The value of type `cls` that a document holds at a path; None if it has errors."""
    value = _Structure(document, registry, errors, finite=finite).value(path, document.get(path), cls)
    return None if value is FAILED else cast("T", value)


class _Structure:
    """One pass over the data of a document."""

    def __init__(
        self, document: YamlDocument, registry: Registry, errors: ErrorCollector, *, finite: bool = True
    ) -> None:
        self.document = document
        self.registry = registry
        self.errors = errors
        self.finite = finite

    def fail(self, path: Keys, what: str, *, key: bool = False) -> object:
        """Add an error."""
        self.errors.add(self.document, path, what, key=key)
        return FAILED

    def wrong_type(self, path: Keys, data: object, of: object) -> object:
        """Add the error that data are not of a type."""
        return self.fail(path, f"expected {format_type(of)}, got {format_value(data)}")

    def value(self, path: Keys, data: object, of: Any) -> object:  # noqa: ANN401 - any annotation
        """The value of an annotation."""
        if of in _SCALARS:
            return self.scalar(path, data, of)
        origin, arguments = get_origin(of), get_args(of)
        if origin is Annotated:
            return self.value(path, data, arguments[0])
        if origin is Literal:
            return self.literal(path, data, of, arguments)
        if origin in (Union, types.UnionType):
            return self.union(path, data, of, arguments)
        if origin is not None:
            return self.container(path, data, of, origin, arguments)
        if isinstance(of, type) and issubclass(of, Options):
            return self.options(path, data, (of,))
        if isinstance(of, type) and attrs.has(of):
            return self.attributes(path, data, of)
        return self.scalar(path, data, of)

    def scalar(self, path: Keys, data: object, of: Any) -> object:  # noqa: ANN401 - any annotation
        """A number, a string, a path, an enum member or null."""
        if of in (Any, object):
            return data
        if of is float and type(data) in (int, float):
            try:
                number = float(cast("float", data))
            except OverflowError:  # an integer that is too large for a float
                number = math.inf
            is_allowed = math.isfinite(number) or not self.finite
            return number if is_allowed else self.fail(path, f"must be finite, got {number}")
        if of is int and type(data) is int and not -_INTEGER_LIMIT <= data < _INTEGER_LIMIT:
            return self.fail(path, f"must be between -2**63 and 2**63 - 1, got {data}")
        if of is Path and isinstance(data, str):
            return self.path(path, data)
        if isinstance(of, type) and issubclass(of, Enum):
            members = {member.value: member for member in of}
            known = isinstance(data, (str, int)) and data in members
            return members[data] if known else self.not_one_of(path, data, tuple(members))
        # bool is a subclass of int, but true is not an integer in YAML
        return data if type(data) is of else self.wrong_type(path, data, of)

    def path(self, path: Keys, data: str) -> object:
        """A path, with `~` as the home folder."""
        if not data:
            return self.fail(path, "expected a path, got an empty text")
        try:
            return Path(expand_home(data))
        except UserError as error:
            return self.fail(path, str(error))

    def literal(self, path: Keys, data: object, of: object, options: tuple[object, ...]) -> object:
        """One of several listed values."""
        if any(data == option and type(data) is type(option) for option in options):
            return data
        return self.not_one_of(path, data, options)

    def not_one_of(self, path: Keys, data: object, options: tuple[object, ...]) -> object:
        """Add the error that data is none of the allowed values."""
        if isinstance(data, str) and all(isinstance(option, str) for option in options):
            return self.fail(path, f"unknown value '{data}'; {suggestion(data, map(str, options))}")
        listed = ", ".join(map(format_value, options))
        return self.fail(path, f"must be one of {listed}, got {format_value(data)}")

    def union(self, path: Keys, data: object, of: object, members: tuple[Any, ...]) -> object:
        """A value of the first type that fits; if none does, the errors of the only type that can be meant."""
        if data is None and type(None) in members:
            return None
        members = tuple(member for member in members if member is not type(None))
        roles = tuple(member for member in members if isinstance(member, type) and issubclass(member, Options))
        if roles and (isinstance(data, Mapping) or len(roles) == len(members)):
            return self.options(path, data, roles)
        if len(members) == 1 and (isinstance(data, (Mapping, list)) or _is_open(members[0])):
            return self.value(path, data, members[0])
        for member in members:
            attempt = ErrorCollector()
            value = _Structure(self.document, self.registry, attempt, finite=self.finite).value(path, data, member)
            if not attempt:
                return value
        return self.wrong_type(path, data, of)

    def container(self, path: Keys, data: object, of: object, origin: Any, arguments: tuple[Any, ...]) -> object:  # noqa: ANN401
        """A mapping, list or set."""
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self.mapping(path, data, of, arguments)
        if origin not in _BUILDERS:
            raise TypeError(f"{of} cannot be written in YAML")
        if not isinstance(data, list):
            return self.wrong_type(path, data, of)
        kinds = arguments if origin is tuple and Ellipsis not in arguments else (arguments[0],) * len(data)
        if len(kinds) != len(data):
            return self.fail(path, f"expected {format_type(of)}, got {len(data)} items")
        items = [self.value((*path, i), item, kind) for i, (item, kind) in enumerate(zip(data, kinds, strict=True))]
        return FAILED if _failed(items) else _BUILDERS[origin](items)

    def mapping(self, path: Keys, data: object, of: object, arguments: tuple[Any, ...]) -> object:
        """A mapping with any keys."""
        if not isinstance(data, Mapping):
            return self.wrong_type(path, data, of)
        items: dict[object, object] = {}
        for name, item in data.items():
            inner = (*path, name)
            items[self.value(inner, name, arguments[0])] = self.value(inner, item, arguments[1])
        return FAILED if _failed([*items, *items.values()]) else items

    def options(self, path: Keys, data: object, roles: tuple[type[Options], ...]) -> object:
        """A part of a role: a mapping with its `kind`, or the bare kind."""
        role = roles[0].role
        if isinstance(data, str):
            data = {"kind": data}
        if not isinstance(data, Mapping):
            return self.wrong_type(path, data, roles[0])
        if not isinstance(data.get("kind"), str):
            kinds = ", ".join(self.registry.kinds(role))
            what = f"kind: expected text, got {format_value(data['kind'])}" if "kind" in data else "kind is missing"
            return self.fail(path, f"{what}; known: {kinds}")
        kind = data["kind"]
        place = (*path, "kind") if self.document.has((*path, "kind")) else path
        if kind not in self.registry.kinds(role):
            for failure in self.registry.failures:
                self.errors.note(str(failure))
            return self.fail(place, f"unknown {role} '{kind}'; {suggestion(kind, self.registry.kinds(role))}")
        cls = self.registry.find(role, kind)
        if not issubclass(cls, roles):
            return self.fail(place, f"{role} '{kind}' cannot be used here")
        return self.attributes(path, {name: item for name, item in data.items() if name != "kind"}, cls)

    def attributes(self, path: Keys, data: object, cls: type[Any]) -> object:
        """An attrs value from a mapping of its fields."""
        if not isinstance(data, Mapping):
            return self.wrong_type(path, data, cls)
        fields = {field.alias: field for field in attrs.fields(attrs.resolve_types(cls)) if field.init}
        before = len(self.errors)
        for name in data:
            if name not in fields:
                self.fail((*path, name), f"{_unknown_key(cls)}; {suggestion(name, fields)}", key=True)
        values = {name: self.value((*path, name), data[name], fields[name].type) for name in fields if name in data}
        for name, field in fields.items():
            if name not in data and field.default is attrs.NOTHING:
                self.fail(path, f"{name} is missing ({format_type(field.type)})")
        values = {name: value for name, value in values.items() if value is not FAILED}
        self.validate(path, cls, fields, values)
        return FAILED if len(self.errors) > before else self.build(path, cls, values)

    def validate(
        self, path: Keys, cls: type[Any], fields: Mapping[str, attrs.Attribute[Any]], values: Mapping[str, object]
    ) -> None:
        """Run the validators of all fields without errors, even if other fields have errors."""
        partial: Any = object.__new__(cls)
        for name, field in fields.items():
            if name in values:
                object.__setattr__(partial, field.name, values[name])
        for name, value in values.items():
            validator = fields[name].validator
            if validator is None:
                continue
            try:
                validator(partial, fields[name], value)
            except AttributeError:
                continue  # it compares with a field that has an error
            except (UserError, ValueError, TypeError) as error:
                self.fail((*path, name), format_error(error, fields[name].name, value))

    def build(self, path: Keys, cls: type[Any], values: Mapping[str, object]) -> object:
        """The value itself; a class may refuse a combination of fields."""
        try:
            return cls(**values)
        except (UserError, ValueError, TypeError) as error:
            return self.fail(path, format_error(error, "", None))


def _failed(items: list[object]) -> bool:
    return any(item is FAILED for item in items)


def _is_open(of: Any) -> bool:  # noqa: ANN401 - any annotation
    """Whether a type has more precise errors than "expected X or null"."""
    return get_origin(of) is Literal or (isinstance(of, type) and (issubclass(of, (Enum, Options)) or attrs.has(of)))


def _unknown_key(cls: type[Any]) -> str:
    return f"unknown option of {cls.role} '{cls.kind}'" if issubclass(cls, Options) else "unknown key"
