"""The file of metrics that a stage leaves in its artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

METRICS_FILE = "metrics.json"


def write_metrics(metrics: Mapping[str, float], folder: Path) -> None:
    """Write the file that is tracked and reported."""
    text = json.dumps({name: float(value) for name, value in metrics.items()}, indent=2)
    (folder / METRICS_FILE).write_text(text + "\n", encoding="utf-8")


def read_metrics(folder: Path) -> dict[str, float]:
    """What `write_metrics` wrote."""
    metrics: dict[str, float] = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
    return metrics
