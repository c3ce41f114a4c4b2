"""A set of examples, checked when it is read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from bebertlab.api import Labels, Split, UserError
from bebertlab_glue.catalogue import CatalogueEntry
from bebertlab_glue.labels import read_labels

IDX = "idx"  #: column of the numbers that identify examples
_WITHOUT = f"; without the column {IDX} the rows are numbered"


@frozen(kw_only=True, eq=False)
class ExampleTable:
    """Columns of one set of examples; `origin` names it in messages."""

    origin: str
    numbers: NDArray[np.int64]  #: (N,) the column idx, or the numbers of the rows without it
    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    labels: Labels
    groups: tuple[str, ...] | None = field(default=None)  #: names of groups that stay together
    unofficial: bool = field(default=False)  #: not the official set of the benchmark

    def __len__(self) -> int:
        return len(self.texts)

    def blank_rows(self) -> list[int]:
        """Rows with a blank text."""
        columns = [self.texts] if self.pairs is None else [self.texts, self.pairs]
        return [row for row, texts in enumerate(zip(*columns, strict=True)) if not all(map(str.strip, texts))]

    def split(self, prefix: str) -> Split:
        """The examples, with ids that start with the prefix."""
        ids = tuple(f"{prefix}-{number}" for number in self.numbers.tolist())
        return Split(ids=ids, texts=self.texts, pairs=self.pairs, labels=self.labels, groups=self.groups)


def check_table(
    origin: str,
    entry: CatalogueEntry,
    *,
    numbers: Sequence[object] | None,
    texts: Sequence[object],
    pairs: Sequence[object] | None,
    labels: Sequence[object],
    groups: Sequence[object] | None = None,
    stored_classes: Sequence[str] | None = None,
    unofficial: bool = False,
) -> ExampleTable:
    """A table of columns; `stored_classes` are the classes in the order of the numbers in `labels`, None for the hub's.

    Raises:
        UserError: it has no rows, a value of the wrong type, a row without a text, a label that is not a class or score
            of the task, or a repeated idx; the message names the row and the column.
    """
    if not texts:
        raise UserError(f"{origin}: no rows")
    table = ExampleTable(
        origin=origin,
        numbers=np.arange(len(texts)) if numbers is None else _numbers(origin, numbers),
        texts=_texts(origin, entry.text, texts),
        pairs=None if pairs is None else _texts(origin, str(entry.pair), pairs),
        labels=read_labels(origin, entry, labels, stored_classes),
        groups=None if groups is None else _groups(origin, groups),
        unofficial=unofficial,
    )
    _check_blank(table, entry)
    return table


def _check_blank(table: ExampleTable, entry: CatalogueEntry) -> None:
    """One text of a pair may be blank: official files have such rows, and published results include them."""
    for row in table.blank_rows():
        if table.texts[row].strip() or (table.pairs and table.pairs[row].strip()):
            continue
        columns = f"{entry.text} is" if table.pairs is None else f"{entry.text} and {entry.pair} are"
        raise UserError(f"{table.origin}: row {row}: {columns} empty; every example needs a text")


def _texts(origin: str, name: str, column: Sequence[object]) -> tuple[str, ...]:
    checked = []
    for row, text in enumerate(column):
        if text is None:
            raise UserError(f"{origin}: row {row}: {name} is null; every example needs a text")
        if not isinstance(text, str):
            raise UserError(f"{origin}: row {row}: {name} is {text!r}; expected a text")
        checked.append(text)
    return tuple(checked)


def _groups(origin: str, column: Sequence[object]) -> tuple[str, ...]:
    for row, group in enumerate(column):
        if group is None or isinstance(group, float):
            raise UserError(f"{origin}: row {row}: the group is {group!r}; expected a name or an integer")
    return tuple(map(str, column))


def _numbers(origin: str, column: Sequence[object]) -> NDArray[np.int64]:
    for row, number in enumerate(column):
        if type(number) is not int:
            raise UserError(f"{origin}: row {row}: {IDX} is {number!r}; expected an integer{_WITHOUT}")
    indices = np.asarray(column, dtype=np.int64)
    seen, counts = np.unique(indices, return_counts=True)
    if len(seen) < len(indices):
        number = seen[counts > 1][0]
        row = int(np.flatnonzero(indices == number)[1])
        raise UserError(f"{origin}: row {row}: {IDX} {number} is repeated; it must identify one example{_WITHOUT}")
    return indices
