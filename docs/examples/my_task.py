"""Reviews in tab-separated files."""

import csv
from pathlib import Path

import numpy as np
from attrs import field, frozen

from bebertlab.api import (
    ACCURACY_METRICS,
    EXCLUDED_FROM_KEY,
    SELECT,
    TRAIN,
    VALIDATION,
    Split,
    Task,
    TaskOptions,
    check_file,
    hookimpl,
    split_off_select,
)

CLASSES = ("negative", "positive")


@frozen(kw_only=True)
class Reviews(TaskOptions):
    """Texts with a label, from `train.tsv` and `validation.tsv` with the columns `text` and `label`."""

    kind = "reviews"
    path: Path = field(metadata=EXCLUDED_FROM_KEY)  #: folder of the files

    def load(self) -> Task:
        """Read both files; a part of the training set becomes the split `select`."""
        whole = _read(self.path / "train.tsv", "train")
        train, select = split_off_select(whole, fraction=0.1, most=2000)
        splits = {TRAIN: train, SELECT: select, VALIDATION: _read(self.path / "validation.tsv", "validation")}
        return Task(name="reviews", classes=CLASSES, splits=splits, metrics=ACCURACY_METRICS, score="accuracy")


def _read(path: Path, name: str) -> Split:
    check_file(path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return Split(
        ids=tuple(f"{name}-{number}" for number in range(len(rows))),
        texts=tuple(row["text"] for row in rows),
        pairs=None,
        labels=np.array([CLASSES.index(row["label"]) for row in rows], dtype=np.int64),
    )


@hookimpl
def bebertlab_tasks() -> list[type[TaskOptions]]:
    return [Reviews]
