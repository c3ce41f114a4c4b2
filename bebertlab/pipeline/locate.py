"""Paths in a recipe: `~` is the home folder, and a relative path is relative to the file that it is written in.

Those of the command line are relative to the current folder. The types of options say which values are paths:
`Path`, and text that the metadata `EXCLUDED_FROM_KEY_IF_PATH` says to be one where such a folder is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bebertlab.config.document import Keys, Place, YamlDocument
from bebertlab.errors import UserError
from bebertlab.interfaces.stage import may_be_name
from bebertlab.locations import beside
from bebertlab.pipeline.paths import PER_TASK, alternatives, class_at, fields_of, items_of, type_at
from bebertlab.pipeline.recipe import Recipe
from bebertlab.registry.registry import Registry

_EXPLICIT = ("./", "../", "/", "~")


def located(document: YamlDocument, registry: Registry) -> YamlDocument:
    """A recipe's document with every path absolute."""
    return _changed(document, _recipe_paths(document, registry), _absolute)


def rebased(document: YamlDocument, base: str, registry: Registry) -> YamlDocument:
    """A recipe's document with every relative path relative to one folder, whatever file it is written in."""
    return _changed(document, _recipe_paths(document, registry), lambda text, place: _relative(text, place, base))


def rebased_value(document: YamlDocument, of: object, base: str, registry: Registry) -> YamlDocument:
    """The same of a document that holds a value of an annotated type."""
    found = _paths(document.data, (), of, registry)
    return _changed(document, _meant(document, found), lambda text, place: _relative(text, place, base))


def has_relative_paths(document: YamlDocument, registry: Registry) -> bool:
    """Whether a recipe's document holds paths that are relative."""
    return any(_is_relative(document.get(path)) for path in _recipe_paths(document, registry))


def has_relative_values(document: YamlDocument, of: object, registry: Registry) -> bool:
    """Whether a document that holds a value of an annotated type holds paths that are relative."""
    found = _meant(document, _paths(document.data, (), of, registry))
    return any(_is_relative(document.get(path)) for path in found)


def _changed(document: YamlDocument, paths: Iterator[Keys], change: Callable[[str, Place], str]) -> YamlDocument:
    for path in list(paths):
        place = document.place(path)
        text = change(document.get(path), place)
        if text != document.get(path):
            document = document.put(path, YamlDocument.of(text, place))
    return document


def _absolute(text: str, place: Place) -> str:
    try:
        return str(beside(place.folder, text).absolute())
    except UserError:  # reported where the value is read
        return text


def _relative(text: str, place: Place, base: str) -> str:
    here, there = (os.path.realpath(folder or os.curdir) for folder in (place.folder, base))
    if here == there or not _is_relative(text):
        return text
    return os.path.join(os.curdir, os.path.relpath(here, there), text)


def _is_relative(text: str) -> bool:
    return not text.startswith(("/", "~"))


def _recipe_paths(document: YamlDocument, registry: Registry) -> Iterator[Keys]:
    """Where a recipe's document holds paths, those in its section `per_task` among them."""
    yield from _meant(document, _paths(document.data, (), Recipe, registry))
    tasks = document.data.get(PER_TASK) if isinstance(document.data, Mapping) else None
    for task, settings in tasks.items() if isinstance(tasks, Mapping) else ():
        for name, value in settings.items() if isinstance(settings, Mapping) else ():
            try:
                of = type_at(document, name, registry)
            except UserError:  # reported where the section is read
                continue
            start: Keys = (PER_TASK, task, name)
            yield from _meant(document, _paths(value, start, of, registry))


def _meant(document: YamlDocument, found: Iterator[tuple[Keys, bool]]) -> Iterator[Keys]:
    """Those that are paths and no names."""
    for path, named in found:
        text = document.get(path)
        if not named or text.startswith(_EXPLICIT) or Path(document.place(path).folder, text).is_dir():
            yield path


def _paths(data: Any, path: Keys, of: Any, registry: Registry) -> Iterator[tuple[Keys, bool]]:  # noqa: ANN401
    """Where data of an annotated type holds paths, and whether each may be a name instead."""
    if isinstance(data, str):
        kinds = alternatives(of)
        if data and Path in kinds and str not in kinds:
            yield path, False
        return
    cls = class_at(YamlDocument.of(data), (), of, registry) if isinstance(data, Mapping) else None
    if cls is not None:
        for name, field in fields_of(cls).items():
            item = data.get(name)
            if isinstance(item, str) and may_be_name(field):
                yield (*path, name), True
            elif item is not None:
                yield from _paths(item, (*path, name), field.type, registry)
        return
    for key, item, kind in items_of(data, of):
        yield from _paths(item, (*path, key), kind, registry)
