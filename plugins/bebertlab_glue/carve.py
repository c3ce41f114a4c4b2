"""Carving `select` out of the training set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from bebertlab.api import Labels, UserError
from bebertlab_glue.table import Table

_BINS = 5  # of scores, for regression


def carve(train: Table, fraction: float, most: int) -> tuple[Table, Table]:
    """Two tables: what is trained on, and `select`.

    Which examples go where is decided by a hash of their text alone: the same in every run, whatever the order of
    the file, and equal texts go to the same side. Each class (each fifth of the scores, for regression) gives the
    same part, so that a small `select` has the balance of the whole.

    Raises:
        UserError: there is one text only.
    """
    wanted = min(round(fraction * len(train)), most, len(train) - 1)
    keys = [_key(train, row) for row in range(len(train))]
    chosen: set[str] = set()
    rows = 0
    counts: dict[str, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    for key in _in_turn(train, keys):
        if rows >= max(wanted, 1):
            break
        if key not in chosen:
            chosen.add(key)
            rows += counts[key]
    selected = np.array([key in chosen for key in keys])
    if selected.all():
        raise UserError(f"{train.origin}: {len(train)} rows of one text leave none to train on; take more rows")
    return train.take(np.flatnonzero(~selected)), train.take(np.flatnonzero(selected))


def _key(table: Table, row: int) -> str:
    """A hash of what a reader would call the same example: case and spaces do not count."""
    texts = (table.texts[row],) if table.pairs is None else (table.texts[row], table.pairs[row])
    return hashlib.sha256("\0".join(" ".join(text.lower().split()) for text in texts).encode()).hexdigest()


def _in_turn(table: Table, keys: list[str]) -> Iterable[str]:
    """Keys in the order in which they are chosen: the groups by turns in proportion to their sizes, by hash within."""
    groups = _groups(table)
    place = np.empty(len(keys))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        order = rows[np.argsort([keys[row] for row in rows], kind="stable")]
        place[order] = (np.arange(len(rows)) + 0.5) / len(rows)
    return [keys[row] for row in np.lexsort((np.array(keys), place))]


def _groups(table: Table) -> Labels:
    if table.labels.dtype.kind == "i":
        return table.labels
    edges = np.quantile(table.labels, np.linspace(0, 1, _BINS + 1)[1:-1])
    return np.searchsorted(edges, table.labels)
