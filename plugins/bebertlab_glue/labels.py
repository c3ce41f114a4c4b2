"""Labels as files contain them: numbers, names of classes, or either of them as text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from bebertlab.api import Labels, UserError
from bebertlab_glue.catalogue import CatalogueEntry

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_HIDDEN = "; -1 marks the hidden labels of a test set"


def read_labels(origin: str, entry: CatalogueEntry, labels: Sequence[object], names: Sequence[str] | None) -> Labels:
    """(N,) int64 classes of the task, or float32 scores; `names` are those of the file by its numbers, None for the
    hub's order.

    Raises:
        UserError: a label is not one of the task's; the message names the row.
    """
    if not entry.classes:
        return _scores(origin, entry, labels)
    classes = _order(origin, entry, names)
    numbers = {float(number): entry.classes.index(name) for number, name in enumerate(classes)}
    by_name = {_plain(name): entry.classes.index(name) for name in classes}
    classes_of_rows = np.empty(len(labels), dtype=np.int64)
    for row, label in enumerate(labels):
        known = by_name.get(_plain(label)) if isinstance(label, str) else None
        if known is None:
            known = numbers.get(_number(label, boolean=_is_boolean(entry)))
        if known is None:
            expected = ", ".join(f"{number} ({name})" for number, name in enumerate(classes))
            raise UserError(f"{origin}: row {row}: label is {_shown(label)}; expected one of: {expected}{_hint(label)}")
        classes_of_rows[row] = known
    return classes_of_rows


def _scores(origin: str, entry: CatalogueEntry, labels: Sequence[object]) -> Labels:
    low, high = entry.scores
    scores = np.empty(len(labels), dtype=np.float32)
    for row, label in enumerate(labels):
        value = _number(label, boolean=False)
        if not low <= value <= high:
            raise UserError(
                f"{origin}: row {row}: label is {_shown(label)}; expected a score in {low:g}..{high:g}{_hint(label)}"
            )
        scores[row] = value
    return scores


def _order(origin: str, entry: CatalogueEntry, names: Sequence[str] | None) -> tuple[str, ...]:
    """The task's classes in the order of the numbers of a file."""
    if names is None:
        return entry.stored_classes
    known = {_plain(name): name for name in entry.classes}
    known |= {str(number): name for number, name in enumerate(entry.stored_classes)}  # names such as "0" and "1"
    order = tuple(known.get(_plain(name), "") for name in names)
    if sorted(order) != sorted(entry.classes):
        raise UserError(
            f"{origin}: the classes of column label are {', '.join(names)}; expected {', '.join(entry.stored_classes)}"
        )
    return order


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def _number(label: object, *, boolean: bool) -> float:
    """A label as a number, also from text; NaN if it is not one."""
    if isinstance(label, bool):
        return float(label) if boolean else math.nan
    if isinstance(label, (int, float, Decimal)):
        return float(label)
    if isinstance(label, str) and _NUMBER.fullmatch(label.strip()):
        return float(label)
    return math.nan


def _is_boolean(entry: CatalogueEntry) -> bool:
    """Whether true can only mean class 1, as in "not_duplicate, duplicate"."""
    return len(entry.classes) == 2 and not entry.classes[1].startswith("not_")


def _shown(label: object) -> str:
    if label is None:
        return "null"
    return f"the text {label!r}" if isinstance(label, str) else repr(label)


def _hint(label: object) -> str:
    if _number(label, boolean=False) == -1:
        return _HIDDEN
    if isinstance(label, str) and _COMMA.fullmatch(label.strip()):
        return "; write it with a decimal point, or store the column as float"
    return ""
