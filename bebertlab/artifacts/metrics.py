"""Metrics of artifacts: their file, and those of every model (sizes, operations, truncated texts)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from bebertlab.accounting.operations import model_operations, usual_tokens
from bebertlab.accounting.size import MEBIBYTE, model_size
from bebertlab.data.examples import Examples
from bebertlab.files import parse_json
from bebertlab.interfaces.metric_names import (
    GIGAFLOPS,
    SIZE_MATRIX,
    SIZE_STORED,
    SIZE_TOTAL,
    is_truncated,
    truncated,
    truncated_percent,
)
from bebertlab.interfaces.stage import Artifact, Context
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.folder import TENSORS, describe_model

METRICS_FILE = "metrics.json"


def write_metrics(metrics: Mapping[str, float], folder: Path) -> None:
    """Write `metrics.json`, which is tracked and reported: a flat mapping of names to finite numbers."""
    text = json.dumps({name: float(value) for name, value in metrics.items()}, indent=2)
    (folder / METRICS_FILE).write_text(text + "\n", encoding="utf-8")


def read_metrics(folder: Path) -> dict[str, float]:
    """The metrics of an artifact by name, as `write_metrics` wrote them."""
    metrics: dict[str, float] = parse_json((folder / METRICS_FILE).read_text(encoding="utf-8"))
    return metrics


_SIZES = (SIZE_MATRIX, SIZE_TOTAL, SIZE_STORED, GIGAFLOPS)


def size_metrics(model: BertClassifier, folder: Path) -> dict[str, float]:
    """Sizes and operations of a model (or of its meta_model) that is stored in a folder."""
    size = model_size(model)
    operations = model_operations(model.architecture, model.spec, usual_tokens(model.architecture))
    return {
        SIZE_MATRIX: size.matrix_mebibytes,
        SIZE_TOTAL: size.total_mebibytes,
        SIZE_STORED: (folder / TENSORS).stat().st_size / MEBIBYTE,
        GIGAFLOPS: operations.gigaflops,
    }


def read_size(artifact: Artifact, context: Context) -> dict[str, float]:
    """Sizes and operations of an artifact: those in its metrics if complete, otherwise those of its model if any."""
    metrics = read_metrics(artifact.folder)
    sizes = {name: metrics[name] for name in _SIZES if name in metrics}
    if len(sizes) == len(_SIZES) or not (artifact.folder / TENSORS).is_file():
        return sizes
    return size_metrics(meta_model(*describe_model(artifact.folder, context.codec)), artifact.folder)


def combined_metrics(artifacts: Iterable[Artifact], context: Context) -> dict[str, float]:
    """Metrics of several models that predict together: the sums of their sizes, and their truncated texts.

    An artifact that is given twice counts once. A size that one of them does not have is left out. The truncated
    texts of a split are those of the model that truncates the most, since tokenizers may differ.
    """
    distinct: Mapping[str, Artifact] = {artifact.key: artifact for artifact in artifacts}
    sizes = [read_size(artifact, context) for artifact in distinct.values()]
    sums = {name: sum(size[name] for size in sizes) for name in _SIZES if all(name in size for size in sizes)}
    return {**sums, **_most_truncated(read_metrics(artifact.folder) for artifact in distinct.values())}


_WARNED = 1.0  #: percent of the texts of a split above which users are warned


def truncation_metrics(splits: Mapping[str, Examples], maximum_tokens: int, context: Context) -> dict[str, float]:
    """How many texts of each split had more than `maximum_tokens` tokens, and the percentage; warns of many."""
    metrics: dict[str, float] = {}
    for split, examples in splits.items():
        count = examples.tokens.truncated
        percent = 100.0 * count / len(examples)
        metrics |= {truncated(split): count, truncated_percent(split): percent}
        if percent > _WARNED:
            texts = "texts" if context.task.splits[split].pairs is None else "pairs of texts"
            context.warn(
                f"{split}: {count:,} of {len(examples):,} {texts} have more than {maximum_tokens} tokens"
                " (maximum_tokens of the encoder or the loaded model) and are truncated"
            )
    return metrics


def _most_truncated(models: Iterable[Mapping[str, float]]) -> dict[str, float]:
    most: dict[str, float] = {}
    for metrics in models:
        for name, value in metrics.items():
            if is_truncated(name):
                most[name] = max(value, most.get(name, 0.0))
    return most
