"""What a reader of results must know of the data that was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bebertlab.api import TRAIN, Labels, Split
from bebertlab_glue.catalogue import CatalogueEntry
from bebertlab_glue.table import ExampleTable


def caveats(entry: CatalogueEntry, tables: Mapping[str, ExampleTable], train: Split) -> Iterator[str]:
    """Sentences on the tables of a task, and on what is left of the first one to train on."""
    for name, table in tables.items():
        if blank := len(table.blank_rows()):
            yield f"{name}: {blank:,} of {len(table):,} pairs have an empty {entry.text} or {entry.pair}"
        yield from _labels(entry, name, table.labels)
    missing = [name for number, name in enumerate(entry.classes) if number not in train.labels]
    if missing and len(np.unique(tables[TRAIN].labels)) > 1:
        yield f"{TRAIN} has no example of class {', '.join(missing)}"


def _labels(entry: CatalogueEntry, name: str, labels: Labels) -> Iterator[str]:
    values = np.unique(labels)
    if len(values) == 1:
        shown = entry.classes[int(values[0])] if entry.classes else f"{values[0]:g}"
        effect = "there is nothing to learn" if name == TRAIN else "scores on it say nothing"
        yield f"{name}: all {len(labels):,} labels are {shown}; {effect}"
    elif not entry.classes and values[-1] <= 1:
        yield f"{name}: labels lie in {values[0]:g}..{values[-1]:g}; those of the task lie in 0..{entry.scores[1]:g}"
