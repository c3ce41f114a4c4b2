"""Rows of predictions as JSON lines and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from attrs import frozen

from bebertlab.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from bebertlab.interfaces.task import Scores

OutputFormat = Literal["jsonl", "csv"]
OUTPUT_FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)


class RowFormat(Protocol):
    """How predictions become rows of text.

    A prediction is the probabilities (C,) of the classes, or the value (1,) of a regression. Numbers have the fewest
    digits that give the same number again.
    """

    def header(self) -> str:
        """What comes before the first row."""
        ...

    def row(self, values: Scores) -> str:
        """A prediction."""
        ...

    def missing(self, problem: str) -> str:
        """The row of an input that has no usable text."""
        ...


def row_format(
    form: OutputFormat, classes: Sequence[str], *, top: int | None = None, errors: bool = False
) -> RowFormat:
    """The format of a model's predictions.

    Args:
        form: its name
        classes: by output; empty for a regression
        top: only so many classes, the most probable ones first
        errors: there may be rows without a prediction

    Raises:
        UserError: `top` is given for a regression, which has no classes.
    """
    if top is not None and not classes:
        raise UserError("--top: the model is a regression, which has no classes")
    limited = None if top is None else min(top, len(classes))
    if form == "jsonl":
        return JsonRows(classes=tuple(classes), top=limited)
    return CsvRows(classes=tuple(classes), top=limited, errors=errors)


@frozen(kw_only=True)
class JsonRows:
    """An object a row: `label` and `probabilities` by class, or the `value` of a regression."""

    classes: tuple[str, ...]  #: empty for a regression
    top: int | None = None

    def header(self) -> str:
        """Nothing."""
        return ""

    def row(self, values: Scores) -> str:
        """A prediction."""
        if not self.classes:
            return _json({"value": _shortest(values[0])})
        order = _order(values)
        shown = range(len(values)) if self.top is None else order[: self.top]
        probabilities = {self.classes[index]: _shortest(values[index]) for index in shown}
        return _json({"label": self.classes[order[0]], "probabilities": probabilities})

    def missing(self, problem: str) -> str:
        """The same keys with null, and the problem."""
        keys = ("label", "probabilities") if self.classes else ("value",)
        return _json({**dict.fromkeys(keys), "error": problem})


@frozen(kw_only=True)
class CsvRows:
    """A line a row: `label` and `probability: CLASS`, or with `top` a label and a probability for each rank."""

    classes: tuple[str, ...]  #: empty for a regression
    top: int | None = None
    errors: bool = False  #: there is a column `error`

    def header(self) -> str:
        """The names of the columns."""
        return _csv((*self._columns(), *(("error",) if self.errors else ())))

    def row(self, values: Scores) -> str:
        """A prediction."""
        return _csv((*self._cells(values), *(("",) if self.errors else ())))

    def missing(self, problem: str) -> str:
        """Empty values, and the problem."""
        return _csv((*("" for _ in self._columns()), problem))

    def _columns(self) -> tuple[str, ...]:
        if not self.classes:
            return ("value",)
        if self.top is None:
            return ("label", *(f"probability: {name}" for name in self.classes))
        ranks = ["", *(f"_{rank}" for rank in range(2, self.top + 1))]
        return tuple(f"{name}{rank}" for rank in ranks for name in ("label", "probability"))

    def _cells(self, values: Scores) -> tuple[str, ...]:
        if not self.classes:
            return (str(values[0]),)
        order = _order(values)
        if self.top is None:
            return (self.classes[order[0]], *map(str, values))
        return tuple(cell for output in order[: self.top] for cell in (self.classes[output], str(values[output])))


def _order(values: Scores) -> list[int]:
    """The outputs, the most probable one first; the first of a tie, as arg max."""
    return sorted(range(len(values)), key=lambda output: -values[output])


def _shortest(value: np.floating[Any]) -> float:
    return float(str(value))


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False) + "\n"


def _csv(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
