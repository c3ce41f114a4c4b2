"""The section `per_task` of a recipe: what a paper sets differently for each task.

    per_task:
      cola: {train.epochs: 6, encoder.maximum_tokens: 64}
      rte: {train.epochs: 20}

The entry called as the task (its `name`, or its kind where it has no name) is laid over the rest of the recipe.
Whatever is set from outside the recipe's file wins over it: `--set`, a study's `set`, `search` and `smoke`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.document import Document
from bebertlab.config.faults import Faults
from bebertlab.errors import UnknownPart, UserError
from bebertlab.interfaces.task import TaskOptions
from bebertlab.recipe.paths import PER_TASK, find_target, set_value


def for_its_task(document: Document, codec: OptionsCodec, faults: Faults) -> Document:
    """The document without the section, its task's entry laid over it; the faults of all entries are noted."""
    if PER_TASK not in document.data:
        return document
    entries = document.at((PER_TASK,))
    rest = attrs.evolve(document, data={key: value for key, value in document.data.items() if key != PER_TASK})
    before = len(faults)
    for _, path, part in _settings(entries, faults):
        _check(rest, path, part, codec, faults)
    name = _task_name(rest, codec)
    if len(faults) > before or name is None:
        return rest
    for task, path, part in _settings(entries, faults):
        if task == name:
            rest = set_value(rest, path, part.data, part.place(), codec.registry)
    return rest


def _settings(entries: Document, faults: Faults) -> Iterator[tuple[str, str, Document]]:
    """Task, path and value of every setting."""
    if not isinstance(entries.data, Mapping):
        faults.add(entries, (), "must be a mapping of task names to settings, e.g. cola: {train.epochs: 6}")
        return
    for task, settings in entries.data.items():
        if not isinstance(settings, Mapping):
            faults.add(entries, (task,), "must be a mapping of paths to values, e.g. {train.epochs: 6}")
            continue
        for path in settings:
            yield task, path, entries.at((task, path))


def _check(document: Document, path: str, part: Document, codec: OptionsCodec, faults: Faults) -> None:
    try:
        target = find_target(document, path, codec.registry)
    except UnknownPart as error:
        faults.add_error(error.at(str(part.place())), part.place())
        return
    except UserError as error:
        faults.add(part, (), str(error).removeprefix(f"{path}: "))
        return
    codec.structure(part, (), target.type, faults)


def _task_name(document: Document, codec: OptionsCodec) -> str | None:
    if not document.has(("task",)):
        return None
    abstract: Any = TaskOptions
    task = codec.structure(document, ("task",), abstract, Faults())  # its faults are told where it is read
    return None if task is None else str(getattr(task, "name", task.kind))
