"""Small folders in the shape of the hub's data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

#: read before tests unset the variable
_REAL = Path(os.environ.get("BEBERTLAB_GLUE", "../shared/data/glue"))

Columns = Mapping[str, Sequence[Any]]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write <folder>/<task>/<split>.parquet and give the folder."""

    def write_split(task: str, split: str, columns: Columns) -> Path:
        home = tmp_path / "glue" / task
        home.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            pa.table({name: pa.array(values) for name, values in columns.items()}), home / f"{split}.parquet"
        )
        return tmp_path / "glue"

    return write_split


@pytest.fixture
def cola(write: Write) -> Path:
    """A folder with a CoLA of 40 training and 10 validation sentences."""
    write("cola", "validation", sentences(10, "seen never"))
    return write("cola", "train", sentences(40, "word"))


@pytest.fixture
def real_glue() -> Path:
    """The real data, if available."""
    if not _REAL.is_dir():
        pytest.skip("no GLUE data: set BEBERTLAB_GLUE to a folder with <task>/<split>.parquet")
    return _REAL


def sentences(count: int, word: str) -> dict[str, list[Any]]:
    """Columns of a task of single sentences, labels 0 and 1 by turns."""
    return {
        "sentence": [f"{word} {i} ." for i in range(count)],
        "label": [i % 2 for i in range(count)],
        "idx": list(range(count)),
    }
