from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from bebertlab.artifacts.metrics import read_metrics, write_metrics


def test_metrics_are_plain_numbers(tmp_path: Path) -> None:
    write_metrics({"a": np.float32(0.5), "b": 3}, tmp_path)  # type: ignore[dict-item] # what numpy gives
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"a": 0.5, "b": 3.0}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_metrics({"select/score": 1 / 3}, tmp_path)
    assert read_metrics(tmp_path) == {"select/score": 1 / 3}
