"""Classifiers from folders, with their outputs in the order of the task's classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from bebertlab.errors import UserError
from bebertlab.files import read_json
from bebertlab.interfaces.stage import Context
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import BertClassifier
from bebertlab.model.classes import check_problem, class_names, contradicts, listed, output_order, reorder_outputs
from bebertlab.model.folder import CONFIGURATION, load_model

_ADVICE = "the option `classes` of stage `load` to the task's classes in the order of the model's outputs"


@frozen(kw_only=True)
class ClassOrder:
    """Which output of a classifier is which class of a task."""

    outputs: tuple[int, ...]  #: the output of each class, in the task's order
    warning: str | None = None  #: what users must know where nobody says it


def load_classifier(folder: Path, context: Context, stated: Sequence[str] | None = None) -> BertClassifier:
    """The model in a folder, its outputs in the order of the task's classes; warns where its classes have no names.

    Raises:
        SetupError: a file is missing.
        UserError: a file is damaged, or as `class_order`.
    """
    model = load_model(folder, context.codec)
    order = class_order(folder, model.architecture.classes, context.task, stated)
    if order.warning is not None:
        context.warn(order.warning)
    if order.outputs == tuple(range(model.architecture.classes)):
        return model
    return BertClassifier.from_checkpoint(reorder_outputs(model.checkpoint(), order.outputs))


def class_order(folder: Path, outputs: int, task: Task, stated: Sequence[str] | None = None) -> ClassOrder:
    """The order of the outputs of the model in a folder, by the names in its config.json.

    `stated`: names of the task's classes in the order of the outputs, where config.json does not have them.

    Raises:
        SetupError: there is no config.json.
        UserError: the model has another number of outputs, or they are no classes of which a text has one; the names
            are not those of the task, or contradict each other or what is stated.
    """
    if outputs != task.outputs:
        raise UserError(f"the model in {folder} has {outputs} outputs, task '{task.name}' needs {task.outputs}")
    config = read_json(folder / CONFIGURATION)
    try:
        check_problem(config, outputs)
        if stated is not None:
            return ClassOrder(outputs=_stated(stated, config, task))
        return _named(config, task)
    except UserError as error:
        raise type(error)(f"{folder / CONFIGURATION}: {error}") from error


def _named(config: Mapping[str, Any], task: Task) -> ClassOrder:
    if not task.classes:
        return ClassOrder(outputs=(0,))
    try:
        names = class_names(config, task.outputs)
        found = output_order(names, task.classes)
    except UserError as error:
        raise type(error)(f"{error}; correct that file, or set {_ADVICE}") from error
    if found is not None:
        return ClassOrder(outputs=found)
    return ClassOrder(outputs=tuple(range(task.outputs)), warning=_warning(names, task))


def _stated(stated: Sequence[str], config: Mapping[str, Any], task: Task) -> tuple[int, ...]:
    if not task.classes:
        raise UserError(f"`classes` is set, but task '{task.name}' is a regression and has none")
    order = _known(stated, task)
    if order is None:
        raise UserError(
            f"`classes` is {listed(stated) or 'empty'}; expected the classes of task '{task.name}',"
            f" {listed(task.classes)}, in the order of the model's outputs"
        )
    names = _usable(config, task.outputs)
    by_output = [task.classes[order.index(output)] for output in range(task.outputs)]
    if names is not None and contradicts(names, by_output):
        raise UserError(
            f"the outputs are named {listed(names)}, but `classes` is {listed(stated)}; leave `classes` out, or correct"
            " that file"
        )
    return order


def _known(names: Sequence[str], task: Task) -> tuple[int, ...] | None:
    try:
        return output_order(names, task.classes)
    except UserError:
        return None


def _usable(config: Mapping[str, Any], outputs: int) -> tuple[str, ...] | None:
    """The names in a config.json; None where there are none or it contradicts itself."""
    try:
        return class_names(config, outputs)
    except UserError:
        return None


def _warning(names: tuple[str, ...] | None, task: Task) -> str:
    said = "names no classes" if names is None else f"only numbers its classes ({listed(names)})"
    other = (
        f"; a model that was trained on the data's own numbers has the order {listed(task.data_order)}"
        if task.data_order
        else ""
    )
    return (
        f"the model's {CONFIGURATION} {said}: its outputs are taken in the order of task '{task.name}',"
        f" {listed(task.classes)}{other}. To state the order, set {_ADVICE}"
    )
