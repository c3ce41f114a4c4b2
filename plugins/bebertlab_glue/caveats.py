"""Caveats of the data that were read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bebertlab.api import TRAIN, Caveat, Labels, Split
from bebertlab_glue.catalogue import CATALOGUE, CatalogueEntry, TaskName
from bebertlab_glue.table import ExampleTable


def subset_caveats(name: TaskName, tables: Mapping[str, ExampleTable], limit: int | None) -> Iterator[Caveat]:
    """Why the results are not GLUE scores; empty if they are.

    They are only if every file is named like the official set and has its number of rows.
    """
    if limit is not None:
        yield Caveat(
            kind="limited",
            short=f"limit {limit}",
            sentence=f"Only the first {limit:,} examples of each set of glue/{name} are used (its option limit): scores"
            " are not those of the whole task.",
        )
    entry = CATALOGUE[name]
    stored = {TRAIN: TRAIN, **entry.validation}
    complete = limit is not None or {stored[split]: len(table) for split, table in tables.items()} == entry.sizes
    if not complete or any(table.unofficial for table in tables.values()):
        yield Caveat(
            kind="unofficial-splits",
            short="not the official splits",
            sentence=f"Not the official splits of glue/{name}: scores are not comparable with published ones.",
        )


def data_caveats(entry: CatalogueEntry, tables: Mapping[str, ExampleTable], train: Split) -> Iterator[Caveat]:
    """Unusual properties of texts and labels; `train` is the part of the first table that is trained on."""
    for name, table in tables.items():
        if blank := len(table.blank_rows()):
            pairs = f"{blank:,} of {len(table):,} pairs have an empty {entry.text} or {entry.pair}"
            yield Caveat(kind="empty-texts", short=f"empty texts in {name}", sentence=f"{name}: {pairs}")
        yield from _labels(entry, name, table.labels)
    missing = [name for number, name in enumerate(entry.classes) if number not in train.labels]
    if missing and len(np.unique(tables[TRAIN].labels)) > 1:
        yield Caveat(
            kind="missing-class",
            short=f"no {', '.join(missing)} in {TRAIN}",
            sentence=f"{TRAIN} has no example of class {', '.join(missing)}",
        )


def _labels(entry: CatalogueEntry, name: str, labels: Labels) -> Iterator[Caveat]:
    values = np.unique(labels)
    if len(values) == 1:
        shown = entry.classes[int(values[0])] if entry.classes else f"{values[0]:g}"
        effect = "there is nothing to learn" if name == TRAIN else "scores on it mean nothing"
        sentence = f"{name}: all {len(labels):,} labels are {shown}; {effect}"
        yield Caveat(kind="one-label", short=f"one label in {name}", sentence=sentence)
    elif not entry.classes and values[-1] <= 1:
        yield Caveat(
            kind="label-range",
            short=f"labels of {name} in {values[0]:g}..{values[-1]:g}",
            sentence=f"{name}: the labels are in {values[0]:g}..{values[-1]:g},"
            f" those of the task in 0..{entry.scores[1]:g}",
        )
