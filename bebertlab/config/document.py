"""Plain data with the place of every value, for error messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from attrs import field, frozen

from bebertlab.errors import UserError

Keys = tuple[str | int, ...]


@frozen(kw_only=True, order=True)
class Place:
    """Where a value was written: in a file, or on the command line."""

    origin: str  #: the file as the user wrote it, or e.g. `--set train.epochs=x`
    line: int = 0  #: counted from 1; 0 outside files
    column: int = 0  #: counted from 1; 0 outside files
    #: base of relative paths written there: the folder of the file; empty: the current folder
    folder: str = field(default="", eq=False, order=False)

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}" if self.line else self.origin


@frozen(kw_only=True)
class YamlDocument:
    """Plain data (mappings with text keys, lists, scalars) and the places of its keys and values.

    Immutable: every change returns a new document, which shares the unchanged parts.
    """

    data: Any
    values: Mapping[Keys, Place] = field(
        factory=dict
    )  #: where a value starts; a value without an entry has that of its parent
    keys: Mapping[Keys, Place] = field(factory=dict)  #: where the key of a mapping item starts
    prefix: Keys = ()  #: path of this document in the whole document, for messages

    @classmethod
    def of(cls, data: object, origin: str | Place = "") -> YamlDocument:
        """A document of data that come from one place, or from no file."""
        return cls(data=data, values={(): Place(origin=origin) if isinstance(origin, str) else origin})

    def has(self, path: Keys) -> bool:
        """Whether a path has a value.

        >>> YamlDocument.of({"a": [1, 2]}).has(("a", 1))
        True
        """
        try:
            self.get(path)
        except LookupError:
            return False
        return True

    def get(self, path: Keys) -> Any:  # noqa: ANN401 - plain data
        """The data at a path.

        Raises:
            LookupError: the path has no value.
        """
        data = self.data
        for key in path:
            if not isinstance(data, (Mapping, list)) or (isinstance(data, list) and not str(key).isdecimal()):
                raise KeyError(key)
            data = data[int(key)] if isinstance(data, list) else data[key]
        return data

    def place(self, path: Keys = ()) -> Place:
        """Where the value at a path was written; for a missing value, where its mapping was written."""
        return self.values.get(path) or (self.place(path[:-1]) if path else Place(origin=""))

    def key_place(self, path: Keys) -> Place:
        """Where the key of a path was written."""
        return self.keys.get(path) or self.place(path)

    def at(self, path: Keys) -> YamlDocument:
        """The part below a path as a separate document."""
        return YamlDocument(
            data=self.get(path),
            values={(): self.place(path), **_below(self.values, path)},
            keys=_below(self.keys, path),
            prefix=self.prefix + path,
        )

    def put(self, path: Keys, part: YamlDocument) -> YamlDocument:
        """This document with another one at a path; missing mappings on the path are created.

        A bare kind on the path (`distillation: two-stage`) becomes a mapping (`{kind: two-stage}`).

        Raises:
            UserError: the path leads through a scalar or past the end of a list.
        """
        return YamlDocument(
            data=_replaced(self.data, path, part, ()),
            values={**_outside(self.values, path), **_above(part.values, path)},
            keys={**_outside(self.keys, path), **_kept_key(self.keys, path, part.place()), **_above(part.keys, path)},
            prefix=self.prefix,
        )

    def set(self, path: Keys, value: object, origin: str | Place) -> YamlDocument:
        """This document with one value replaced, e.g. from the command line.

        Another kind, set as `path.kind` or as the bare value at `path`, drops the other keys there, which belong to
        the old kind; the same kind keeps them.

        >>> study = YamlDocument.of({"task": {"kind": "minigrammar", "size": 100}})
        >>> study.set(("task", "kind"), "glue", "--set").set(("task", "name"), "cola", "--set").data
        {'task': {'kind': 'glue', 'name': 'cola'}}

        Raises:
            UserError: the path leads through a scalar or past the end of a list.
        """
        part = YamlDocument.of(value, origin)
        if path and path[-1] == "kind":
            return self._of_kind(path[:-1], part)
        current = self.get(path) if self.has(path) else None
        if isinstance(value, str) and isinstance(current, Mapping) and "kind" in current:
            return self._of_kind(path, part)
        return self.put(path, part)

    def _of_kind(self, path: Keys, kind: YamlDocument) -> YamlDocument:
        current = self.get(path) if self.has(path) else None
        if isinstance(current, Mapping) and current.get("kind", kind.data) == kind.data:
            return self.put((*path, "kind"), kind)
        mapping = attrs.evolve(kind, data={})
        return self.put(path, mapping.put(("kind",), kind))

    def merged(self, over: YamlDocument) -> YamlDocument:
        """This document with the values of another one: mappings are merged, other values are replaced.

        A mapping of another kind replaces the whole mapping, whose keys belong to the old kind.

        >>> base = YamlDocument.of({"train": {"epochs": 3, "batch_size": 32}})
        >>> base.merged(YamlDocument.of({"train": {"epochs": 1}})).data
        {'train': {'epochs': 1, 'batch_size': 32}}
        """
        if not _mergeable(self.data, over.data):
            return attrs.evolve(over, prefix=self.prefix)
        result = self.put((), self) if isinstance(self.data, Mapping) else self._of_kind((), self)
        for key in over.data:
            part = over.at((key,))
            if result.has((key,)):
                part = result.at((key,)).merged(part)
            result = result.put((key,), part)
            result = attrs.evolve(result, keys={**result.keys, (key,): over.key_place((key,))})
        return result


def show(path: Keys) -> str:
    """A path as users write it.

    >>> show(("stages", "members", "losses", 0, "weight"))
    'stages.members.losses.0.weight'
    """
    return ".".join(map(str, path))


def _mergeable(base: object, over: object) -> bool:
    if not isinstance(over, Mapping) or not isinstance(base, (Mapping, str)):
        return False
    kind = base.get("kind") if isinstance(base, Mapping) else base
    return bool(over.get("kind", kind) == kind)


def _replaced(data: object, path: Keys, part: YamlDocument, done: Keys) -> object:
    if not path:
        return part.data
    key, below = path[0], path[1:]
    if isinstance(data, list):
        index = _index(data, key, part, done)
        return [_replaced(item, below, part, (*done, key)) if i == index else item for i, item in enumerate(data)]
    if isinstance(data, str):
        data = {"kind": data}
    if data is not None and not isinstance(data, Mapping):
        raise UserError(f"{part.place()}: {show(done)} is {data!r}, a value without options to set")
    mapping: dict[str | int, object] = dict(data or {})
    mapping[key] = _replaced(mapping.get(key), below, part, (*done, key))
    return mapping


def _index(data: Sequence[object], key: str | int, part: YamlDocument, done: Keys) -> int:
    if not str(key).isdecimal() or int(key) >= len(data):
        raise UserError(f"{part.place()}: {show(done)} is a list of {len(data)} and has no item {key}")
    return int(key)


def _below(places: Mapping[Keys, Place], path: Keys) -> dict[Keys, Place]:
    size = len(path)
    return {key[size:]: place for key, place in places.items() if len(key) > size and key[:size] == path}


def _outside(places: Mapping[Keys, Place], path: Keys) -> dict[Keys, Place]:
    return {key: place for key, place in places.items() if key[: len(path)] != path}


def _above(places: Mapping[Keys, Place], path: Keys) -> dict[Keys, Place]:
    return {path + key: place for key, place in places.items()}


def _kept_key(keys: Mapping[Keys, Place], path: Keys, place: Place) -> dict[Keys, Place]:
    """The key of a replaced value keeps its place in the file; a new key has the place of its value."""
    return {path: place} if path and path not in keys else {path: keys[path]} if path else {}
