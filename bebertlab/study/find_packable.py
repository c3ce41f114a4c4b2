"""What `model pack` packs: the models of a folder or of a stored stage, and what the store knows of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from safetensors import safe_open

from bebertlab.artifacts.merged import MERGED_FILE
from bebertlab.artifacts.outputs import LOGITS_FILE, SCORES_FILE
from bebertlab.artifacts.packed import PACKED_FOLDER, source_folders
from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.interfaces.metric_names import SCORE, split_metric
from bebertlab.interfaces.task import VALIDATION, Task, TaskOptions
from bebertlab.locations import expand_home
from bebertlab.model.folder import CONFIGURATION
from bebertlab.packed.card import ACCURACY
from bebertlab.packed.contract import Score
from bebertlab.packed.source import SourceFolders
from bebertlab.store.ensembles import merged_folders
from bebertlab.store.manifest import Manifest
from bebertlab.store.store import Store
from bebertlab.store.why import input_keys
from bebertlab.study.find import find_key, has_packed


@frozen(kw_only=True, eq=False)
class Packable:
    """What is packed, and the task that it was trained on where its data are there."""

    source: SourceFolders
    task: Task | None


@frozen(kw_only=True, eq=False)
class StoredPackedModel:
    """A packed model that a stage left in the store."""

    folder: Path
    manifest: Manifest  #: of the stage


def find_packed(name: str, work: Path) -> StoredPackedModel | None:
    """The packed model that a stored stage left or read, such as the evaluation that is the result of a study.

    None for any other stage, and for a folder.

    Raises:
        UserError: there is no such stage.
    """
    if os.path.isdir(expand_home(name)) and name:
        return None
    store = Store(work / "store")
    manifest = store.peek(find_key(name, work))
    if manifest is None:
        return None
    inputs = [store.peek(key) for key in input_keys(manifest)]
    packed = [stage for stage in (manifest, *inputs) if stage is not None and has_packed(stage)]
    if not packed:
        return None
    return StoredPackedModel(folder=store.folder(packed[0].key) / PACKED_FOLDER, manifest=packed[0])


def find_packable(name: str, work: Path, codec: OptionsCodec) -> Packable:
    """The models of a folder, or of a stored stage in one of the ways of `find_key`.

    A stage without a model stands for what it was built from: an evaluation for the model or the ensemble that it
    evaluated. Only members that vote are packed.

    Raises:
        SetupError: a file is missing.
        UserError: there is no such folder or stage, or it was built from several models that nothing merged.
    """
    path = Path(expand_home(name))
    if os.path.isdir(path) and name:
        store, key = Store(path.absolute().parent.parent), path.absolute().name
        if store.peek(key) is None:
            return Packable(source=SourceFolders(folders=(path,)), task=None)
    else:
        store = Store(work / "store")
        key = find_key(name, work)
    asked = store.peek(key)
    if asked is None:
        raise UserError(f"{name}: stage {key[:12]} is not in {store.root}")
    manifest = _packed_stage(store, asked, name)
    folders = _folders(store, manifest, codec)
    task = _task(manifest, codec)
    score = _score(asked, store.folder(manifest.key), task) or _score(manifest, store.folder(manifest.key), task)
    return Packable(source=evolve(folders, task=_task_name(manifest, task), score=score), task=task)


def _packed_stage(store: Store, manifest: Manifest, name: str) -> Manifest:
    """The stage with a model or a merged ensemble that a stage is or was built from."""
    todo, stages = [manifest], {}
    while todo:
        stage = todo.pop()
        if stage.files.keys() & {CONFIGURATION, MERGED_FILE}:
            stages[stage.key] = stage
            continue
        # a stage that packs reads the members of its ensemble too
        keys = input_keys(stage, "of" if has_packed(stage) else None)
        todo += [input_stage for key in keys if (input_stage := store.peek(key)) is not None]
    if len(stages) == 1:
        return next(iter(stages.values()))
    if not stages:
        raise UserError(f"{name}: stage '{manifest.stage}' has no model")
    listed = ", ".join(f"{stage.stage} ({stage.key[:12]})" for stage in sorted(stages.values(), key=lambda s: s.stage))
    raise UserError(
        f"{name}: stage '{manifest.stage}' was built from {len(stages)} models, which no stage merged; choose one of"
        f" {listed}"
    )


def _folders(store: Store, manifest: Manifest, codec: OptionsCodec) -> SourceFolders:
    if MERGED_FILE not in manifest.files:
        return source_folders(None, [store.folder(manifest.key)])
    return merged_folders(store, manifest, codec)


def _task(manifest: Manifest, codec: OptionsCodec) -> Task | None:
    """The task of a stage; None where its data are not there, are others today, or need a plugin that is missing."""
    identity = manifest.parts.get("task")
    if not isinstance(identity, Mapping) or not isinstance(identity.get("options"), Mapping):
        return None
    try:
        options: TaskOptions = codec.load(_plain_options(identity["options"]), TaskOptions)  # type: ignore[type-abstract]
        task = options.load()
    except UserError:
        return None
    return task if task.digest == identity.get("digest") else None


def _plain_options(identity: Any) -> Any:  # noqa: ANN401 - plain data
    """Options as they are in a recipe, from their part of a key, in which paths are null."""
    if isinstance(identity, list):
        return [_plain_options(item) for item in identity]
    if not isinstance(identity, Mapping):
        return identity
    fields = identity["options"] if {"kind", "revision", "options"} <= identity.keys() else identity
    plain = {name: _plain_options(value) for name, value in fields.items() if value is not None}
    return plain if fields is identity else {"kind": identity["kind"], **plain}


def _task_name(manifest: Manifest, task: Task | None) -> str | None:
    if task is not None:
        return task.name
    identity = manifest.parts.get("task")
    options = identity.get("options") if isinstance(identity, Mapping) else None
    return str(options["kind"]) if isinstance(options, Mapping) and "kind" in options else None


def _score(manifest: Manifest, folder: Path, task: Task | None) -> Score | None:
    """The score on validation that a stage has, and on how many examples; None where it has none.

    `folder` is that of the stage with the outputs on the split.
    """
    value = manifest.metrics.get(split_metric(VALIDATION, SCORE))
    files = [folder / name for name in (SCORES_FILE, LOGITS_FILE) if (folder / name).is_file()]
    if value is None or not files:
        return None
    with safe_open(files[0], framework="np") as outputs:
        examples = outputs.get_slice(VALIDATION).get_shape()[0]
    if task is not None:
        metric = task.score
    else:
        metric = ACCURACY if manifest.metrics.get(split_metric(VALIDATION, ACCURACY)) == value else SCORE
    return Score(metric=metric, value=value, examples=examples)
