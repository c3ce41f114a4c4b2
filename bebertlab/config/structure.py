"""Plain data to attrs values: strict, with all errors at once.

Every field of every class is checked, even after errors in others. The only coercion is that of integers to floats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, cast

import attrs

from bebertlab.config.document import Keys, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.humanize import format_error, format_value
from bebertlab.config.schema import (
    Alternative,
    ChoiceType,
    FieldSchema,
    ListType,
    MappingType,
    RecordType,
    RoleType,
    ScalarType,
    Schema,
    fields_of,
    schema_of,
)
from bebertlab.errors import UserError, suggestion
from bebertlab.interfaces.options import Options
from bebertlab.locations import expand_home
from bebertlab.registry.registry import Registry

T = TypeVar("T")

_INTEGER_LIMIT = 2**63  # of torch and numpy


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
    value = _Structure(document, registry, errors, finite=finite).value(path, document.get(path), schema_of(cls))
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

    def wrong_type(self, path: Keys, data: object, of: Schema | Alternative) -> object:
        """Add the error that data are not of a type."""
        return self.fail(path, f"expected {of}, got {format_value(data)}")

    def value(self, path: Keys, data: object, of: Schema) -> object:
        """A value of the first alternative that fits; if none does, the errors of the only one that can be meant."""
        if data is None and of.nullable:
            return None
        if of.role is not None and isinstance(data, Mapping):
            return self.options(path, data, of.role)
        if len(of.alternatives) == 1 and (not of.nullable or _is_meant(of.alternatives[0], data)):
            return self.alternative(path, data, of.alternatives[0])
        for alternative in of.alternatives:
            attempt = ErrorCollector()
            attempted = _Structure(self.document, self.registry, attempt, finite=self.finite)
            value = attempted.alternative(path, data, alternative)
            if not attempt:
                return value
        return self.wrong_type(path, data, of)

    def alternative(self, path: Keys, data: object, of: Alternative) -> object:
        """A value of one alternative."""
        match of:
            case ScalarType():
                return self.scalar(path, data, of)
            case ChoiceType():
                return self.choice(path, data, of)
            case RoleType():
                return self.options(path, data, of)
            case ListType():
                return self.sequence(path, data, of)
            case MappingType():
                return self.mapping(path, data, of)
            case RecordType() if isinstance(data, Mapping):
                return self.attributes(path, data, of.cls)
        return self.wrong_type(path, data, of)

    def scalar(self, path: Keys, data: object, of: ScalarType) -> object:
        """A number, a text, a path or anything."""
        if of.type is object:
            return data
        if of.type is float and type(data) in (int, float):
            try:
                number = float(cast("float", data))
            except OverflowError:  # an integer that is too large for a float
                number = math.inf
            is_allowed = math.isfinite(number) or not self.finite
            return number if is_allowed else self.fail(path, f"must be finite, got {number}")
        if of.type is int and type(data) is int and not -_INTEGER_LIMIT <= data < _INTEGER_LIMIT:
            return self.fail(path, f"must be between -2**63 and 2**63 - 1, got {data}")
        if of.type is Path and isinstance(data, str):
            return self.path(path, data)
        # bool is a subclass of int, but true is not an integer in YAML
        return data if type(data) is of.type else self.wrong_type(path, data, of)

    def path(self, path: Keys, data: str) -> object:
        """A path, with `~` as the home folder."""
        if not data:
            return self.fail(path, "expected a path, got an empty text")
        try:
            return Path(expand_home(data))
        except UserError as error:
            return self.fail(path, str(error))

    def choice(self, path: Keys, data: object, of: ChoiceType) -> object:
        """One of several values."""
        written = [value.value if isinstance(value, Enum) else value for value in of.values]
        for plain, value in zip(written, of.values, strict=True):
            if data == plain and type(data) is type(plain):
                return value
        if isinstance(data, str) and all(isinstance(plain, str) for plain in written):
            return self.fail(path, f"unknown value '{data}'; {suggestion(data, map(str, written))}")
        listed = ", ".join(map(format_value, written))
        return self.fail(path, f"must be one of {listed}, got {format_value(data)}")

    def sequence(self, path: Keys, data: object, of: ListType) -> object:
        """A list, tuple or set."""
        if not isinstance(data, list):
            return self.wrong_type(path, data, of)
        if of.fixed and len(of.items) != len(data):
            return self.fail(path, f"expected {of}, got {len(data)} items")
        items = [self.value((*path, index), item, of.at(index)) for index, item in enumerate(data)]
        return FAILED if _failed(items) else of.build(items)

    def mapping(self, path: Keys, data: object, of: MappingType) -> object:
        """A mapping with any keys."""
        if not isinstance(data, Mapping):
            return self.wrong_type(path, data, of)
        items: dict[object, object] = {}
        for name, item in data.items():
            inner = (*path, name)
            items[self.value(inner, name, of.key)] = self.value(inner, item, of.value)
        return FAILED if _failed([*items, *items.values()]) else items

    def options(self, path: Keys, data: object, of: RoleType) -> object:
        """A part of a role: a mapping with its `kind`, or the bare kind."""
        role = of.name
        if isinstance(data, str):
            data = {"kind": data}
        if not isinstance(data, Mapping):
            return self.wrong_type(path, data, of)
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
        if not issubclass(cls, of.bases):
            return self.fail(place, f"{role} '{kind}' cannot be used here")
        return self.attributes(path, {name: item for name, item in data.items() if name != "kind"}, cls)

    def attributes(self, path: Keys, data: Mapping[str, object], cls: type[Any]) -> object:
        """An attrs value from a mapping of its fields."""
        fields = fields_of(cls)
        before = len(self.errors)
        for name in data:
            if name not in fields:
                self.fail((*path, name), f"{_unknown_key(cls)}; {suggestion(name, fields)}", key=True)
        values = {name: self.value((*path, name), data[name], fields[name].schema) for name in fields if name in data}
        for name, field in fields.items():
            if name not in data and field.attribute.default is attrs.NOTHING:
                self.fail(path, f"{name} is missing ({field.schema})")
        values = {name: value for name, value in values.items() if value is not FAILED}
        self.validate(path, cls, fields, values)
        return FAILED if len(self.errors) > before else self.build(path, cls, values)

    def validate(
        self, path: Keys, cls: type[Any], fields: Mapping[str, FieldSchema], values: Mapping[str, object]
    ) -> None:
        """Run the validators of all fields without errors, even if other fields have errors."""
        partial: Any = object.__new__(cls)
        for name, value in values.items():
            object.__setattr__(partial, fields[name].attribute.name, value)
        for name, value in values.items():
            attribute = fields[name].attribute
            try:
                if attribute.validator is not None:
                    attribute.validator(partial, attribute, value)
            except AttributeError:
                continue  # it compares with a field that has an error
            except (UserError, ValueError, TypeError) as error:
                self.fail((*path, name), format_error(error, attribute.name, value))

    def build(self, path: Keys, cls: type[Any], values: Mapping[str, object]) -> object:
        """The value itself; a class may refuse a combination of fields."""
        try:
            return cls(**values)
        except (UserError, ValueError, TypeError) as error:
            return self.fail(path, format_error(error, "", None))


def _failed(items: list[object]) -> bool:
    return any(item is FAILED for item in items)


def _is_meant(of: Alternative, data: object) -> bool:
    """Whether data can only be meant for a type that may be null, or its errors are more precise than its name."""
    return isinstance(data, (Mapping, list)) or isinstance(of, (ChoiceType, RoleType, RecordType))


def _unknown_key(cls: type[Any]) -> str:
    return f"unknown option of {cls.role} '{cls.kind}'" if issubclass(cls, Options) else "unknown key"
