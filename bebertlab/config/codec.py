"""Options to plain data and back, whatever plugin they come from."""

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
from bebertlab.interfaces.stage import Codec, excluded_fields
from bebertlab.registry.registry import Registry

T = TypeVar("T")


@frozen
class OptionsCodec(Codec):
    """The codec over everything that is registered."""

    registry: Registry
    finite: bool = True  #: numbers must be finite, as in YAML; False: NaN and infinity are read too

    def dump(self, value: object) -> Any:  # noqa: ANN401 - plain data
        """Plain data of an attrs value with all its defaults, `kind` included for options."""
        return _plain(value, self._with_kind, PurePath.as_posix)

    def dump_identity(self, value: object) -> Any:  # noqa: ANN401 - plain data
        """Plain data that differs wherever results may differ: every part with its revision and the hash of its text.

        Of options: `{role, kind, revision, file, options}`, where `file` is set for plugins that are not shipped.
        Options excluded from the key are left out. Any other path stands for the content of its file or folder.
        """
        return _plain(value, self._with_identity, _content)

    def load(self, data: object, cls: type[T]) -> T:
        """The attrs value of plain data.

        Raises:
            UserError: every fault of the data, one a line.
        """
        return self.read(YamlDocument.of(data), cls)

    def read(self, document: YamlDocument, cls: type[T]) -> T:
        """The attrs value that a document holds.

        Raises:
            UserError: every fault of the document with its place, one a line.
        """
        faults = ErrorCollector()
        value = structure(document, (), cls, self.registry, faults, finite=self.finite)
        faults.raise_all()
        return value  # type: ignore[return-value] # None comes with faults only

    def structure(self, document: YamlDocument, path: Keys, cls: type[T], faults: ErrorCollector) -> T | None:
        """The attrs value that a document holds at a path; None where faults were noted."""
        return structure(document, path, cls, self.registry, faults, finite=self.finite)

    def _with_kind(self, options: Options, fields: dict[str, Any]) -> Any:  # noqa: ANN401 - plain data
        return {"kind": options.kind, **fields}

    def _with_identity(self, options: Options, fields: dict[str, Any]) -> Any:  # noqa: ANN401 - plain data
        fields = {**fields, **dict.fromkeys(excluded_fields(type(options)))}
        identity = {"role": options.role, "kind": options.kind, "revision": options.revision, "options": fields}
        fingerprint = self.registry.entry(type(options)).fingerprint
        return identity if fingerprint is None else {**identity, "file": fingerprint}


_PRIMITIVES = (type(None), bool, int, float, str)


def _content(path: PurePath) -> str:
    """The hash of a file or folder; where there is none, the path."""
    return path_digest(Path(path)) or path.as_posix()


def _plain(
    value: object, of_options: Callable[[Options, dict[str, Any]], Any], of_path: Callable[[PurePath], str]
) -> Any:  # noqa: ANN401 - plain data
    if type(value) in _PRIMITIVES:  # most values; the checks below take longer
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, _PRIMITIVES):
        return value
    if isinstance(value, PurePath):
        return of_path(value)
    if isinstance(value, Mapping):
        return {str(_plain(key, of_options, of_path)): _plain(item, of_options, of_path) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, of_options, of_path) for item in value]
    if isinstance(value, AbstractSet):
        return sorted((_plain(item, of_options, of_path) for item in value), key=repr)
    cls: type[Any] = type(value)
    if attrs.has(cls):
        shown = [field for field in attrs.fields(cls) if field.init]
        fields = {field.alias: _plain(getattr(value, field.name), of_options, of_path) for field in shown}
        return of_options(value, fields) if isinstance(value, Options) else fields
    raise TypeError(
        f"{value!r} has no form in plain data; options hold numbers, text, lists, mappings and attrs values"
    )
