"""A set of examples as it was read, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from bebertlab.api import Labels, Split, UserError
from bebertlab_glue.catalogue import Entry


@frozen(kw_only=True, eq=False)
class Table:
    """Columns of one set of examples; `origin` names it in messages."""

    origin: str
    numbers: NDArray[np.int64]  #: (N,) the column idx
    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    labels: Labels
    unofficial: bool = field(default=False)  #: not the official set of the benchmark

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.int64]) -> Table:
        """Some rows, in the order given."""
        return Table(
            origin=self.origin,
            numbers=self.numbers[rows],
            texts=tuple(self.texts[row] for row in rows),
            pairs=None if self.pairs is None else tuple(self.pairs[row] for row in rows),
            labels=self.labels[rows],
            unofficial=self.unofficial,
        )

    def first(self, count: int) -> Table:
        """The first rows at the most."""
        return self.take(np.arange(min(count, len(self))))

    def split(self, prefix: str) -> Split:
        """The examples under ids that begin with the prefix."""
        ids = tuple(f"{prefix}-{number}" for number in self.numbers.tolist())
        return Split(ids=ids, texts=self.texts, pairs=self.pairs, labels=self.labels)


def check_table(
    origin: str,
    entry: Entry,
    *,
    numbers: Sequence[object],
    texts: Sequence[object],
    pairs: Sequence[object] | None,
    labels: Sequence[object],
    stored_classes: Sequence[str] | None = None,
    unofficial: bool = False,
) -> Table:
    """The table of some columns; `stored_classes` are the classes by the numbers in `labels`, None for the hub's.

    Raises:
        UserError: it has no rows, a value of another type than its column's, an empty text, a label outside the
            classes or a repeated idx; names the row and the column.
    """
    if not texts:
        raise UserError(f"{origin}: it has no rows")
    return Table(
        origin=origin,
        numbers=_numbers(origin, numbers),
        texts=_texts(origin, entry.text, texts),
        pairs=None if pairs is None else _texts(origin, str(entry.pair), pairs),
        labels=_labels(origin, entry, labels, tuple(stored_classes or entry.stored_classes)),
        unofficial=unofficial,
    )


def _texts(origin: str, name: str, column: Sequence[object]) -> tuple[str, ...]:
    checked = []
    for row, text in enumerate(column):
        if text is None or (isinstance(text, str) and not text.strip()):
            raise UserError(f"{origin}: row {row}: {name} is empty; every example needs a text")
        if not isinstance(text, str):
            raise UserError(f"{origin}: row {row}: {name} is {text!r}, which is no text")
        checked.append(text)
    return tuple(checked)


def _numbers(origin: str, column: Sequence[object]) -> NDArray[np.int64]:
    for row, number in enumerate(column):
        if type(number) is not int:
            raise UserError(f"{origin}: row {row}: idx is {number!r}, which is no whole number")
    indices = np.asarray(column, dtype=np.int64)
    seen, counts = np.unique(indices, return_counts=True)
    if len(seen) < len(indices):
        number = seen[counts > 1][0]
        row = int(np.flatnonzero(indices == number)[1])
        raise UserError(f"{origin}: row {row}: idx {number} stands there a second time; it must name one example")
    return indices


def _labels(origin: str, entry: Entry, labels: Sequence[object], stored: tuple[str, ...]) -> Labels:
    # what is no number is none of what is wanted
    values = np.asarray([one if isinstance(one, (int, float)) else np.nan for one in labels], dtype=np.float64)
    if not entry.classes:
        bad = ~np.isfinite(values)
        wanted = "a score such as 3.2"
    else:
        if sorted(stored) != sorted(entry.classes):
            raise UserError(
                f"{origin}: the classes of column label are {', '.join(stored)}; they should be "
                f"{', '.join(entry.stored_classes)}"
            )
        bad = ~np.isin(values, np.arange(len(entry.classes)))
        wanted = ", ".join(f"{i} ({name})" for i, name in enumerate(stored))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        hint = "; -1 marks the hidden labels of a test set" if values[row] == -1 else ""
        raise UserError(f"{origin}: row {row}: label is {labels[row]!r}, which is none of: {wanted}{hint}")
    if not entry.classes:
        return values.astype(np.float32)
    return np.array([entry.classes.index(name) for name in stored], dtype=np.int64)[values.astype(np.int64)]
