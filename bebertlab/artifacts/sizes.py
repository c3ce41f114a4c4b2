"""What the model of an artifact takes: three sizes, and its operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bebertlab.artifacts.metrics import read_metrics
from bebertlab.interfaces.stage import Artifact, Context
from bebertlab.nn.bert import BertClassifier, meta_model
from bebertlab.nn.folder import TENSORS, describe_model
from bebertlab.nn.operations import model_operations, usual_tokens
from bebertlab.nn.size import MEBIBYTE, model_size

MATRIX = "size/matrix_mebibytes"  #: word embedding, linear maps and pooler in the bits of their quantizers
TOTAL = "size/total_mebibytes"  #: with scales and all that stays in full precision
STORED = "size/stored_mebibytes"  #: the file of tensors as it lies in the folder
OPERATIONS = "cost/gigaflops"  #: of one forward pass, see `nn/operations.py`, at the length of `usual_tokens`

_NAMES = (MATRIX, TOTAL, STORED, OPERATIONS)


def size_metrics(model: BertClassifier, folder: Path) -> dict[str, float]:
    """The metrics of a model (or of its meta_model) that is stored in a folder."""
    size = model_size(model)
    operations = model_operations(model.architecture, model.design, usual_tokens(model.architecture))
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
