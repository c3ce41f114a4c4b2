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
from bebertlab.config.schema import Schema, fields_of, schema_of
from bebertlab.errors import UserError
from bebertlab.interfaces.stage import may_be_name
from bebertlab.locations import path_from
from bebertlab.pipeline.paths import find_target
from bebertlab.pipeline.recipe import PER_TASK, Recipe
from bebertlab.registry.registry import Registry

_EXPLICIT = ("./", "../", "/", "~")


def located(document: YamlDocument, registry: Registry) -> YamlDocument:
    """A recipe's document with every path absolute."""
    return _changed(document, _file_paths(document, Recipe, registry), _absolute)


def rebased(document: YamlDocument, base: str, registry: Registry, of: object = Recipe) -> YamlDocument:
    """A document with every relative path relative to one folder, whatever file it is written in.

    The document holds a recipe, or a value of another annotated type.
    """
    paths = _file_paths(document, of, registry)
    return _changed(document, paths, lambda text, place: _relative(text, place, base))


def has_relative_paths(document: YamlDocument, registry: Registry, of: object = Recipe) -> bool:
    """Whether a document that holds a recipe, or a value of another annotated type, holds paths that are relative."""
    return any(_is_relative(document.get(path)) for path in _file_paths(document, of, registry))


def _changed(document: YamlDocument, paths: Iterator[Keys], change: Callable[[str, Place], str]) -> YamlDocument:
    for path in list(paths):
        place = document.place(path)
        text = change(document.get(path), place)
        if text != document.get(path):
            document = document.put(path, YamlDocument.of(text, place))
    return document


def _absolute(text: str, place: Place) -> str:
    try:
        return str(path_from(place.folder, text).absolute())
    except UserError:  # reported where the value is read
        return text


def _relative(text: str, place: Place, base: str) -> str:
    here, there = (os.path.realpath(folder or os.curdir) for folder in (place.folder, base))
    if here == there or not _is_relative(text):
        return text
    return os.path.join(os.curdir, os.path.relpath(here, there), text)


def _is_relative(text: str) -> bool:
    return not text.startswith(("/", "~"))


def _file_paths(document: YamlDocument, of: object, registry: Registry) -> Iterator[Keys]:
    """Where a document holds paths of files; in a recipe, also in its section `per_task`."""
    for path, named in _paths(document.data, (), schema_of(of), registry):
        if not named or _is_file_path(document, path):
            yield path
    sections = document.data.get(PER_TASK) if of is Recipe and isinstance(document.data, Mapping) else None
    for task, settings in sections.items() if isinstance(sections, Mapping) else ():
        for name in settings if isinstance(settings, Mapping) else ():
            try:
                type_ = find_target(document, name, registry).type
            except UserError:  # reported where the section is read
                continue
            start: Keys = (PER_TASK, task, name)
            yield from ((*start, *path) for path in _file_paths(document.at(start), type_, registry))


def _is_file_path(document: YamlDocument, path: Keys) -> bool:
    """Whether text that may be a name is a path: it is written as one, or such a folder is there."""
    text = document.get(path)
    return text.startswith(_EXPLICIT) or Path(document.place(path).folder, text).is_dir()


def _paths(data: Any, path: Keys, of: Schema, registry: Registry) -> Iterator[tuple[Keys, bool]]:  # noqa: ANN401
    """Where data of a type hold paths, and whether each may be a name instead."""
    if isinstance(data, str):
        if data and of.takes(Path) and not of.takes(str):
            yield path, False
        return
    cls = of.class_of(data, registry) if isinstance(data, Mapping) else None
    if cls is not None:
        for name, field in fields_of(cls).items():
            item = data.get(name)
            if isinstance(item, str) and may_be_name(field.attribute):
                yield (*path, name), True
            elif item is not None:
                yield from _paths(item, (*path, name), field.schema, registry)
        return
    for key, item, schema in of.items(data):
        yield from _paths(item, (*path, key), schema, registry)
