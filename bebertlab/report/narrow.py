"""Tables that fit a page: which columns stay, and which move to a table of details."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from bebertlab.report.document import Table
from bebertlab.report.tables import MATRIX, OPERATIONS, PACKED, STORED, TOTAL

_PAGE = 950  #: pixels of the text of an HTML page that is 1000 wide
_LETTER = 8.5  #: pixels of a letter of a table in the wider fonts (DejaVu Sans), in bold
_PADDING = 16  #: pixels left and right of a cell, together


def narrowed(table: Table, groups: Sequence[Collection[str]], fits: Callable[[Table], bool]) -> Table:
    """The table without groups of columns, the first ones first, until it fits."""
    for names in groups:
        if not fits(table):
            table = table.without(names)
    return table


def least_needed(table: Table, metrics: Collection[str]) -> tuple[Collection[str], ...]:
    """The columns of a table of points that readers need least: further metrics, then some costs.

    The computed total size may leave where the size of a file was measured.
    """
    computed = [[MATRIX], [TOTAL]] if PACKED in table.columns else [[MATRIX]]
    return metrics, [STORED], *computed, [OPERATIONS]


def details(table: Table, shown: Table, first: int, summary: str) -> Table | None:
    """The columns of a table that another one does not show, behind its first ones; None where it shows all.

    Where they do not fit the page with all `first` columns, the rows have their number only.
    """
    left_out = [column for column, name in enumerate(table.columns) if name not in shown.columns]
    if not left_out:
        return None
    whole = table.only([*range(first), *left_out], summary=summary)
    return whole if fits_page(whole) else table.only([0, *left_out], summary=summary)


def fits_page(table: Table) -> bool:
    """Whether a table fits an HTML page that is 1000 pixels wide, so that nobody must scroll to its last column."""
    letters = [max(map(len, [*_pieces(name), *cells])) for name, *cells in zip(table.columns, *table.rows, strict=True)]
    return sum(letters) * _LETTER + len(letters) * _PADDING <= _PAGE


def _pieces(name: str) -> list[str]:
    """The pieces of the head of a column between which a line may break.

    >>> _pieces("validation/score"), _pieces("total MiB")
    (['validation/', 'score'], ['total', 'MiB'])
    """
    return re.findall(r"[^/\s]+/?", name)
