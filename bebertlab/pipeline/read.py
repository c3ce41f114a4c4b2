"""Reading recipes: a file, the file that it extends and its entry for the task are merged into one value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import YamlDocument
from bebertlab.config.error_collector import ErrorCollector
from bebertlab.config.schema import fields_of
from bebertlab.config.yaml import read_yaml
from bebertlab.errors import UnknownPart, UserError, suggestion
from bebertlab.interfaces.task import TaskOptions
from bebertlab.locations import path_from
from bebertlab.pipeline.graph import RECIPE_KEYS, check_graph
from bebertlab.pipeline.locate import located
from bebertlab.pipeline.paths import find_target, set_value
from bebertlab.pipeline.recipe import EXTENDS, PER_TASK, Recipe, Stage
from bebertlab.pipeline.train_defaults import TrainDefaults

_STAGES = "stages"
_STUDY_KEY = "recipe"  # a key of every study and of no recipe


def read_recipe(path: Path) -> YamlDocument:
    """The document of a recipe file, merged into the file that it extends.

    Raises:
        UserError: a file cannot be read, is no YAML, or what it extends extends another one.
    """
    return extended(read_yaml(path))


def extended(document: YamlDocument) -> YamlDocument:
    """A recipe's document merged into the file that it extends.

    Raises:
        UserError: that file cannot be read, or extends another one.
    """
    if not isinstance(document.data, Mapping) or EXTENDS not in document.data:
        return document
    name = document.data[EXTENDS]
    if not isinstance(name, str):
        raise UserError(f"{document.place((EXTENDS,))}: extends: must be the path of a recipe, got {name!r}")
    base = read_yaml(path_from(document.place((EXTENDS,)).folder, name))
    if isinstance(base.data, Mapping) and EXTENDS in base.data:
        raise UserError(
            f"{document.place((EXTENDS,))}: extends: {name} extends {base.data[EXTENDS]}; a recipe may extend one"
            " that extends none"
        )
    overriding = {key: value for key, value in document.data.items() if key != EXTENDS}
    return base.merged(attrs.evolve(document, data=overriding))


def structure_recipe(document: YamlDocument, codec: OptionsCodec, errors: ErrorCollector) -> Recipe | None:
    """The recipe of a document; None if there were errors, which are all reported."""
    if not isinstance(document.data, Mapping):
        errors.add(document, (), "a recipe is a mapping with task, encoder and stages")
        return None
    if _STUDY_KEY in document.data and _STAGES not in document.data:
        errors.add(document, (), "expected a recipe, got a study; use the commands of `bebertlab study`")
        return None
    before = len(errors)
    document = for_its_task(located(document, codec.registry), codec, errors)
    fields: dict[str, Any] = {}
    for name, field in fields_of(Recipe).items():
        if name == _STAGES:
            continue
        if document.has((name,)):
            fields[name] = codec.structure(document, (name,), field.schema.annotation, errors)
        elif field.attribute.default is attrs.NOTHING:
            errors.add(document, (), f"{name} is missing")
    _check_keys(document, errors)
    stages = _structure_stages(document, codec, errors)
    result = check_graph(document, stages, codec.registry, errors)
    if len(errors) > before:
        return None
    return Recipe(**{**fields, _STAGES: stages, "result": result})


def recipe_of(document: YamlDocument, codec: OptionsCodec) -> Recipe:
    """The recipe of a document.

    Raises:
        UserError: all errors of the document, one a line.
    """
    errors = ErrorCollector()
    recipe = structure_recipe(document, codec, errors)
    errors.raise_all()
    if recipe is None:
        raise AssertionError("a recipe that is None has errors")
    return recipe


def _check_keys(document: YamlDocument, errors: ErrorCollector) -> None:
    for key in document.data:
        if key == EXTENDS:
            errors.add(document, (key,), "can only stand in a file", key=True)
        elif key not in RECIPE_KEYS:
            errors.add(document, (key,), f"unknown key of a recipe; {suggestion(key, RECIPE_KEYS)}", key=True)


def _structure_stages(document: YamlDocument, codec: OptionsCodec, errors: ErrorCollector) -> dict[str, Stage | None]:
    """Each stage by itself, so that an invalid one, which is None, does not hide errors of the others."""
    if not document.has((_STAGES,)) or not document.data[_STAGES]:
        errors.add(document, (_STAGES,) if document.has((_STAGES,)) else (), "stages is missing: name at least one")
        return {}
    if not isinstance(document.data[_STAGES], Mapping):
        errors.add(document, (_STAGES,), "must be a mapping of stage names to stages")
        return {}
    defaults = TrainDefaults.of(document, codec)
    return {name: defaults.structure(name, errors) for name in document.data[_STAGES]}


def for_its_task(document: YamlDocument, codec: OptionsCodec, errors: ErrorCollector) -> YamlDocument:
    """The document without the section, with the entry of its task applied; errors of all entries are reported."""
    if PER_TASK not in document.data:
        return document
    entries = document.at((PER_TASK,))
    remaining = attrs.evolve(document, data={key: value for key, value in document.data.items() if key != PER_TASK})
    before = len(errors)
    for _, path, part in _settings(entries, errors):
        _check(remaining, path, part, codec, errors)
    name = _task_name(remaining, codec)
    if len(errors) > before or name is None:
        return remaining
    for task, path, part in _settings(entries, errors):
        if task == name:
            remaining = set_value(remaining, path, part.data, part.place(), codec.registry)
    return remaining


def _settings(entries: YamlDocument, errors: ErrorCollector) -> Iterator[tuple[str, str, YamlDocument]]:
    """Task, path and value of every setting."""
    if not isinstance(entries.data, Mapping):
        errors.add(entries, (), "must be a mapping of task names to settings, e.g. cola: {train.epochs: 6}")
        return
    for task, settings in entries.data.items():
        if not isinstance(settings, Mapping):
            errors.add(entries, (task,), "must be a mapping of paths to values, e.g. {train.epochs: 6}")
            continue
        for path in settings:
            yield task, path, entries.at((task, path))


def _check(document: YamlDocument, path: str, part: YamlDocument, codec: OptionsCodec, errors: ErrorCollector) -> None:
    try:
        target = find_target(document, path, codec.registry)
    except UnknownPart as error:
        errors.add_error(error.at(str(part.place())), part.place())
        return
    except UserError as error:
        errors.add(part, (), str(error).removeprefix(f"{path}: "))
        return
    codec.structure(part, (), target.type, errors)


def _task_name(document: YamlDocument, codec: OptionsCodec) -> str | None:
    if not document.has(("task",)):
        return None
    abstract: Any = TaskOptions
    task = codec.structure(document, ("task",), abstract, ErrorCollector())  # its errors are reported where it is read
    return None if task is None else str(getattr(task, "name", task.kind))
