"""Options to plain data and back, from all plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, TypeVar

import attrs
from attrs import frozen

from bebertlab.config.document import Keys, YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.structure import structure
from bebertlab.files import path_digest
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.stage import Codec, excluded_fields, is_neutral
from bebertlab.registry.registry import Registry

T = TypeVar("T")


@frozen
class OptionsCodec(Codec):
    """The codec for all registered options."""

    registry: Registry
    finite: bool = True  #: numbers must be finite, as in YAML; False: NaN and infinity are read too

    def dump(self, value: object) -> Any:  # noqa: ANN401 - plain data
        """Plain data of an attrs value with all its defaults, `kind` included for options."""
        return _plain(value, self._with_kind, PurePath.as_posix, lambda attribute, item: False)

    def dump_identity(self, value: object) -> Any:  # noqa: ANN401 - plain data
        """Plain data that differs whenever results may differ: every part with its revision and its plugin's hash.

        Options become `{role, kind, revision, file, options}`, with `file` only for plugins that are not shipped.
        Options excluded from the key are null; those that are omitted at their default are absent. Any other path is
        replaced by the hash of its file or folder.
        """
        return _plain(value, self._with_identity, _content, is_neutral)

    def load(self, data: object, cls: type[T]) -> T:
        """The attrs value of plain data.

        Raises:
            UserError: all errors in the data, one per line.
        """
        return self.read(YamlDocument.of(data), cls)

    def read(self, document: YamlDocument, cls: type[T]) -> T:
        """The attrs value that a document holds.

        Raises:
            UserError: all errors in the document with their places, one per line.
        """
        errors = ErrorCollector()
        value = structure(document, (), cls, self.registry, errors, finite=self.finite)
        errors.raise_all()
        return value  # type: ignore[return-value] # None comes with errors only

    def structure(self, document: YamlDocument, path: Keys, cls: type[T], errors: ErrorCollector) -> T | None:
        """The attrs value that a document holds at a path; None if it has errors."""
        return structure(document, path, cls, self.registry, errors, finite=self.finite)

    def plugin_of(self, part: Options) -> tuple[str, str]:
        """The plugin that registered a part, and its version: of its distribution, or `sha256 ...` of its text."""
        entry = self.registry.entry(type(part))
        return entry.plugin, entry.distribution or f"sha256 {entry.fingerprint}"

    def _with_kind(self, options: Options, fields: dict[str, Any]) -> Any:  # noqa: ANN401 - plain data
        return {"kind": options.kind, **fields}

    def _with_identity(self, options: Options, fields: dict[str, Any]) -> Any:  # noqa: ANN401 - plain data
        fields = {**fields, **dict.fromkeys(excluded_fields(type(options)))}
        identity = {"role": options.role, "kind": options.kind, "revision": options.revision, "options": fields}
        fingerprint = self.registry.entry(type(options)).fingerprint
        return identity if fingerprint is None else {**identity, "file": fingerprint}


_PRIMITIVES = (type(None), bool, int, float, str)


def _content(path: PurePath) -> str:
    """The hash of a file or folder; the path itself if neither exists."""
    return path_digest(Path(path)) or path.as_posix()


def _plain(
    value: object,
    of_options: Callable[[Options, dict[str, Any]], Any],
    of_path: Callable[[PurePath], str],
    is_omitted: Callable[[attrs.Attribute[Any], object], bool],
) -> Any:  # noqa: ANN401 - plain data
    if type(value) in _PRIMITIVES:  # the common case; the checks below are slower
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, _PRIMITIVES):
        return value
    if isinstance(value, PurePath):
        return of_path(value)

    def inner(item: object) -> Any:  # noqa: ANN401 - plain data
        return _plain(item, of_options, of_path, is_omitted)

    if isinstance(value, Mapping):
        return {str(inner(key)): inner(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [inner(item) for item in value]
    if isinstance(value, AbstractSet):
        return sorted(map(inner, value), key=repr)
    cls: type[Any] = type(value)
    if attrs.has(cls):
        given = [(field, getattr(value, field.name)) for field in attrs.fields(cls) if field.init]
        fields = {field.alias: inner(item) for field, item in given if not is_omitted(field, item)}
        return of_options(value, fields) if isinstance(value, Options) else fields
    raise TypeError(
        f"cannot convert {value!r} to plain data; options hold numbers, text, lists, mappings and attrs values"
    )
