"""Classifiers from folders, with their outputs in the order of the task's classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from bebertlab.errors import UserError
from bebertlab.files import read_json
from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.interfaces.stage import Context
from bebertlab.interfaces.task import Task
from bebertlab.model.classes import check_problem, class_names, contradicts, listed, output_order, reorder_outputs
from bebertlab.model.folder import CONFIGURATION, read_checkpoint

_ADVICE = "the option `classes` of stage `load` to the task's classes in the order of the model's outputs"


@frozen(kw_only=True)
class ClassOrder:
    """Which output of a classifier is which class of a task."""

    outputs: tuple[int, ...]  #: position of the output of each class, in the order of the task's classes
    warning: str | None = None  #: a sentence for users where the order had to be assumed


def read_classifier(folder: Path, context: Context, stated: Sequence[str] | None = None) -> Checkpoint:
    """The model in a folder, its outputs in the order of the task's classes; warns where its classes have no names.

    `stated`: names of the task's classes in the order of the outputs, where config.json does not have them.

    Raises:
        SetupError: a file is missing.
        UserError: a file is damaged, or as `class_order`.
    """
    checkpoint = read_checkpoint(folder, context.codec)
    outputs = checkpoint.architecture.classes
    order = class_order(folder, outputs, context.task, stated)
    if order.warning is not None:
        context.warn(order.warning)
    return checkpoint if order.outputs == tuple(range(outputs)) else reorder_outputs(checkpoint, order.outputs)


def class_order(folder: Path, outputs: int, task: Task, stated: Sequence[str] | None = None) -> ClassOrder:
    """The order of the outputs of the model in a folder, by the names in its config.json.

    `stated`: names of the task's classes in the order of the outputs, where config.json does not have them.

    Raises:
        SetupError: there is no config.json.
        UserError: the model has another number of outputs, or a text may have several of its classes; the names are
            not those of the task, or contradict each other or what is stated.
    """
    if outputs != task.outputs:
        raise UserError(f"the model in {folder} has {outputs} outputs, task '{task.name}' needs {task.outputs}")
    config = read_json(folder / CONFIGURATION)
    try:
        check_problem(config, outputs)
        if stated is not None:
            return ClassOrder(outputs=_stated_order(stated, config, task))
        return _order_by_names(config, task)
    except UserError as error:
        raise type(error)(f"{folder / CONFIGURATION}: {error}") from error


def _order_by_names(config: Mapping[str, Any], task: Task) -> ClassOrder:
    if not task.classes:
        return ClassOrder(outputs=(0,))
    try:
        names = class_names(config, task.outputs)
        order = output_order(names, task.classes)
    except UserError as error:
        raise type(error)(f"{error}; correct that file, or set {_ADVICE}") from error
    if order is not None:
        return ClassOrder(outputs=order)
    return ClassOrder(outputs=tuple(range(task.outputs)), warning=_warning(names, task))


def _stated_order(stated: Sequence[str], config: Mapping[str, Any], task: Task) -> tuple[int, ...]:
    if not task.classes:
        raise UserError(f"`classes` is set, but task '{task.name}' is a regression and has none")
    order = _order_or_none(stated, task)
    if order is None:
        raise UserError(
            f"`classes` is {listed(stated) or 'empty'}; expected the classes of task '{task.name}',"
            f" {listed(task.classes)}, in the order of the model's outputs"
        )
    names = _consistent_names(config, task.outputs)
    by_output = [task.classes[order.index(output)] for output in range(task.outputs)]
    if names is not None and contradicts(names, by_output):
        raise UserError(
            f"the outputs are named {listed(names)}, but `classes` is {listed(stated)}; leave `classes` out, or correct"
            " that file"
        )
    return order


def _order_or_none(names: Sequence[str], task: Task) -> tuple[int, ...] | None:
    try:
        return output_order(names, task.classes)
    except UserError:
        return None


def _consistent_names(config: Mapping[str, Any], outputs: int) -> tuple[str, ...] | None:
    """The names in a config.json; None where there are none or it contradicts itself."""
    try:
        return class_names(config, outputs)
    except UserError:
        return None


def _warning(names: tuple[str, ...] | None, task: Task) -> str:
    problem = "names no classes" if names is None else f"only numbers its classes ({listed(names)})"
    alternative = (
        f"; a model that was trained on the class numbers of the data has the order {listed(task.data_order)}"
        if task.data_order
        else ""
    )
    return (
        f"the model's {CONFIGURATION} {problem}: its outputs are assumed to be in the order of task '{task.name}',"
        f" {listed(task.classes)}{alternative}. To state the order, set {_ADVICE}"
    )
