"""What the model of an artifact takes."""

from __future__ import annotations

from bebertlab.artifacts.metrics import read_metrics
from bebertlab.interfaces.stage import Artifact, Context
from bebertlab.nn.folder import load_model
from bebertlab.nn.size import ModelSize, model_size

MATRIX = "size/matrix_mebibytes"
TOTAL = "size/total_mebibytes"


def size_metrics(size: ModelSize) -> dict[str, float]:
    """The metrics that tell a size."""
    return {MATRIX: size.matrix_mebibytes, TOTAL: size.total_mebibytes}


def read_size(artifact: Artifact, context: Context) -> dict[str, float]:
    """The size metrics of an artifact: its own where it has them, else those of its model."""
    metrics = read_metrics(artifact.folder)
    if MATRIX in metrics:
        return {MATRIX: metrics[MATRIX], TOTAL: metrics[TOTAL]}
    return size_metrics(model_size(load_model(artifact.folder, context.codec)))
