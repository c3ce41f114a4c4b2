"""The file of metrics that a stage leaves in its artifact."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from bebertlab.accounting.operations import model_operations, usual_tokens
from bebertlab.accounting.size import MEBIBYTE, model_size
from bebertlab.data.examples import Examples
from bebertlab.interfaces.stage import Artifact, Context
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.folder import TENSORS, describe_model

METRICS_FILE = "metrics.json"


def write_metrics(metrics: Mapping[str, float], folder: Path) -> None:
    """Write the file that is tracked and reported."""
    text = json.dumps({name: float(value) for name, value in metrics.items()}, indent=2)
    (folder / METRICS_FILE).write_text(text + "\n", encoding="utf-8")


def read_metrics(folder: Path) -> dict[str, float]:
    """What `write_metrics` wrote."""
    metrics: dict[str, float] = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
    return metrics


MATRIX = "size/matrix_mebibytes"  #: word embedding, linear maps and pooler in the bits of their quantizers
TOTAL = "size/total_mebibytes"  #: with scales and all that stays in full precision
STORED = "size/stored_mebibytes"  #: the file of tensors as it lies in the folder
OPERATIONS = "cost/gigaflops"  #: of one forward pass, see `accounting/operations.py`, at the length of `usual_tokens`

_NAMES = (MATRIX, TOTAL, STORED, OPERATIONS)


def size_metrics(model: BertClassifier, folder: Path) -> dict[str, float]:
    """The metrics of a model (or of its meta_model) that is stored in a folder."""
    size = model_size(model)
    operations = model_operations(model.architecture, model.spec, usual_tokens(model.architecture))
    return {
        MATRIX: size.matrix_mebibytes,
        TOTAL: size.total_mebibytes,
        STORED: (folder / TENSORS).stat().st_size / MEBIBYTE,
        OPERATIONS: operations.gigaflops,
    }


def read_size(artifact: Artifact, context: Context) -> dict[str, float]:
    """The size metrics of an artifact: its own where it tells all of them, else those of its model, if it has one."""
    metrics = read_metrics(artifact.folder)
    told = {name: metrics[name] for name in _NAMES if name in metrics}
    if len(told) == len(_NAMES) or not (artifact.folder / TENSORS).is_file():
        return told
    return size_metrics(meta_model(*describe_model(artifact.folder, context.codec)), artifact.folder)


def summed_sizes(artifacts: Iterable[Artifact], context: Context) -> dict[str, float]:
    """The size metrics of several models together; what is the same artifact counts once."""
    once: Mapping[str, Artifact] = {artifact.key: artifact for artifact in artifacts}
    sizes = [read_size(artifact, context) for artifact in once.values()]
    return {name: sum(size[name] for size in sizes) for name in _NAMES if all(name in size for size in sizes)}


TRUNCATED = "truncated/"  #: what the names of these metrics begin with
PERCENT = "_percent"

_WARNED = 1.0  #: percent of a split's texts above which users are warned


def truncation_metrics(read: Mapping[str, Examples], maximum_tokens: int, context: Context) -> dict[str, float]:
    """How many texts of each split had more than `maximum_tokens` tokens, and the percentage of all; warns of many."""
    found: dict[str, float] = {}
    for split, examples in read.items():
        count = examples.tokens.truncated
        percent = 100.0 * count / len(examples)
        found |= {f"{TRUNCATED}{split}": count, f"{TRUNCATED}{split}{PERCENT}": percent}
        if percent > _WARNED:
            texts = "texts" if context.task.splits[split].pairs is None else "pairs of texts"
            context.warn(
                f"{split}: {count:,} of {len(examples):,} {texts} have more than {maximum_tokens} tokens"
                " (maximum_tokens of the encoder or the loaded model) and lose their end"
            )
    return found


def most_truncated(models: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Of the metrics of several models, the highest count of each split: their tokenizers may differ."""
    found: dict[str, float] = {}
    for metrics in models:
        for name, value in metrics.items():
            if name.startswith(TRUNCATED):
                found[name] = max(value, found.get(name, 0.0))
    return found
