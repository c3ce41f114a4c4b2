"""The summary that a finished study prints: a table and the answers, as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bebertlab.interfaces.events import StudyRecord, TrialRecord
from bebertlab.report.caveats import banners
from bebertlab.report.document import Table
from bebertlab.report.points import failures
from bebertlab.report.report_data import material, standing
from bebertlab.report.tables import GIGAFLOPS, MATRIX, STORED, points_table
from bebertlab.report.wording import sentences

WIDTH = 120  #: characters of a line
_NARROWEST = 8  #: a column is not cut below this


def summary_table(study: StudyRecord, trials: Sequence[TrialRecord]) -> str:
    """Table of all points, answers and failures, in lines of at most `WIDTH` characters."""
    made = material(study, trials)
    study = made.study
    table = _narrowed(
        points_table(study, made.points, made.ties, made.places, best=not made.learned.nothing), study.objective
    )
    parts = [f"{study.name}@{study.digest[:8]}: {standing(trials, study.planned)}"]
    parts += [line for words in (*made.learned.reasons, *banners(study)) for line in _wrapped(words, "")]
    parts += ["", *_lines(table)] if made.points else []
    for answer in made.answers:
        parts += ["", *_wrapped(answer.question.text, "")]
        parts += [line for said in sentences(study, answer, made.places) for line in _wrapped(said, "  ")]
    failed = failures(trials)
    parts += ["", "Failed:"] if failed else []
    parts += [line for trial, error in failed for line in _wrapped(f"{trial}: {error}", "  ")]
    return "\n".join(parts) + "\n"


def _narrowed(table: Table, objective: str) -> Table:
    """The table without what can be left to the report, until a line fits: metrics first, then some of the costs."""
    further = [name for name in table.columns if name.startswith("validation") and name != objective]
    for names in (further, [STORED], [MATRIX], [GIGAFLOPS]):
        if not _fits(_widths(table)):
            table = table.without(names)
    return table


def _fits(widths: Sequence[int]) -> bool:
    return sum(widths) + 2 * (len(widths) - 1) <= WIDTH


def _lines(table: Table) -> list[str]:
    widths = _fitting(_widths(table))
    lines = [_line(table, table.columns, widths), "-" * min(WIDTH, sum(widths) + 2 * (len(widths) - 1))]
    return lines + [_line(table, row, widths) for row in table.rows]


def _widths(table: Table) -> list[int]:
    return [max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True)]


def _fitting(widths: list[int]) -> list[int]:
    """The widest columns cut until a line fits, none below `_NARROWEST`."""
    widths = list(widths)
    while not _fits(widths) and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _line(table: Table, cells: Sequence[str], widths: Sequence[int]) -> str:
    written = [
        _cut(cell, width).rjust(width) if place in table.numeric else _cut(cell, width).ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    line = "  ".join(written).rstrip()
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _cut(cell: str, width: int) -> str:
    """A cell that fits; what differs between values may stand at their end, so the middle goes.

    >>> _cut("binarybert(activation_bits=4)", 16)
    'binarybe…bits=4)'
    """
    if len(cell) <= width:
        return cell
    end = (width - 1) // 2
    return f"{cell[: width - 1 - end]}…{cell[len(cell) - end :]}"


def _wrapped(words: str, indent: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ") or [indent]
