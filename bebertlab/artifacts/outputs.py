"""The stored outputs of models and ensembles on the evaluated splits, and their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from bebertlab.errors import UserError
from bebertlab.interfaces.metric_names import split_metric
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import SELECT, VALIDATION, Task

LOGITS_FILE = "logits.safetensors"  #: of a model
SCORES_FILE = "scores.safetensors"  #: of an ensemble
_PROBABILITIES = "probabilities"  # in the header of the file of scores

#: outputs by split, each (N, C) in dataset order: logits of a model, or scores of an ensemble
SplitOutputs = Mapping[str, NDArray[np.floating[Any]]]


def evaluated_splits(task: Task) -> tuple[str, ...]:
    """The splits on which every model is evaluated: select, validation and the further validation splits."""
    further = sorted(name for name in task.splits if name.startswith(f"{VALIDATION}_"))
    return (SELECT, VALIDATION, *further)


def write_logits(logits: SplitOutputs, folder: Path) -> None:
    """Write the logits of a model into the folder of its artifact."""
    save_file({split: np.ascontiguousarray(values) for split, values in logits.items()}, folder / LOGITS_FILE)


def write_scores(scores: SplitOutputs, folder: Path, *, probabilities: bool = False) -> None:
    """Write the scores of an ensemble into the folder of its artifact.

    `probabilities`: the scores of an example are probabilities that add up to 1, not logits; metrics of calibration
    depend on that.
    """
    arrays = {split: np.ascontiguousarray(values) for split, values in scores.items()}
    save_file(arrays, folder / SCORES_FILE, metadata={_PROBABILITIES: str(probabilities).lower()})


def read_logits(artifact: Artifact, task: Task) -> SplitOutputs:
    """The stored logits of a model on every evaluated split; no model runs.

    Raises:
        UserError: the artifact has no logits, or not those of the task's splits.
    """
    return _read(artifact, LOGITS_FILE, task)


def read_scores(artifact: Artifact, task: Task) -> SplitOutputs:
    """The outputs by which an artifact is evaluated: scores of an ensemble, otherwise logits of a model; no model runs.

    The prediction is the arg max of a row, or column 0 for regression, see `Task.predict`.

    Raises:
        UserError: the artifact has neither, or not those of the task's splits.
    """
    merged = (artifact.folder / SCORES_FILE).is_file()
    return _read(artifact, SCORES_FILE if merged else LOGITS_FILE, task)


def has_probabilities(artifact: Artifact) -> bool:
    """Whether `read_scores` gives probabilities; otherwise it gives logits, or the values of a regression."""
    path = artifact.folder / SCORES_FILE
    if not path.is_file():
        return False
    with safe_open(path, "numpy") as file:
        return bool((file.metadata() or {}).get(_PROBABILITIES) == "true")


def score_metrics(outputs: SplitOutputs, task: Task, *, probabilities: bool = False) -> dict[str, float]:
    """The task's metrics of outputs by split and name, e.g. "validation/score"."""
    return {
        split_metric(split, name): value
        for split, values in outputs.items()
        for name, value in task.evaluate(split, values, probabilities=probabilities).items()
    }


def _read(artifact: Artifact, name: str, task: Task) -> SplitOutputs:
    path = artifact.folder / name
    if not path.is_file():
        raise UserError(f"stage {artifact.stage} has no {name}; only stages with a model or a merged ensemble have one")
    return _checked(path, task, evaluated_splits(task), f"stage {artifact.stage}")


def read_outputs(path: Path, task: Task, splits: Sequence[str]) -> SplitOutputs:
    """The outputs in a file on some splits.

    Raises:
        UserError: there is no such file, or not the outputs of the task's splits.
    """
    if not path.is_file():
        raise UserError(f"{path.parent} has no {path.name}; only stages with a model or a merged ensemble have one")
    return _checked(path, task, splits, str(path.parent))


def _checked(path: Path, task: Task, splits: Sequence[str], origin: str) -> SplitOutputs:
    outputs: Mapping[str, NDArray[np.floating[Any]]] = load_file(path)
    for split in splits:
        expected = (len(task.splits[split]), task.outputs)
        shape = outputs[split].shape if split in outputs else None
        if shape is None:
            raise UserError(f"{origin} has no outputs on {split} in its {path.name}")
        if shape != expected:
            raise UserError(
                f"{origin} has outputs of shape {shape} on {split} in its {path.name},"
                f" task '{task.name}' needs {expected}"
            )
    return {split: outputs[split] for split in splits}
