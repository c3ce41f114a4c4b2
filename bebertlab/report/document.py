"""A report as blocks, and as Markdown with its plots in files; `html.py` writes the same blocks as a page."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import singledispatch

from attrs import field, frozen

PLOTS = "plots"  #: folder of the plots, next to the Markdown file


@frozen(kw_only=True)
class Text:
    """A paragraph."""

    text: str


@frozen(kw_only=True)
class Note:
    """A highlighted paragraph."""

    text: str


@frozen(kw_only=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]
    leads: tuple[str, ...] = ()  #: bold text before the first items


@frozen(kw_only=True)
class Table:
    """Cells as text; columns of numbers are aligned right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()  #: columns of numbers
    marked: frozenset[int] = frozenset()  #: rows set in bold
    summary: str = ""  #: if given, HTML shows this and unfolds the table on a click

    def without(self, names: Collection[str]) -> Table:
        """The table without some columns."""
        return self.only([column for column, name in enumerate(self.columns) if name not in names])

    def only(self, columns: Sequence[int], *, summary: str = "") -> Table:
        """The table with some columns only, by their positions."""
        return Table(
            columns=tuple(self.columns[column] for column in columns),
            rows=tuple(tuple(row[column] for column in columns) for row in self.rows),
            numeric=frozenset(new for new, old in enumerate(columns) if old in self.numeric),
            marked=self.marked,
            summary=summary or self.summary,
        )


@frozen(kw_only=True)
class Code:
    """Preformatted text."""

    text: str
    language: str = ""
    summary: str = ""  #: if given, HTML shows this and unfolds the text on a click


@frozen(kw_only=True)
class Figure:
    """A plot."""

    name: str  #: file name without suffix, unique in the report
    svg: str
    caption: str


Block = Text | Note | Bullets | Table | Code | Figure


@frozen(kw_only=True)
class Section:
    """A heading with the blocks below it."""

    title: str
    blocks: tuple[Block, ...] = ()
    level: int = 2


@frozen(kw_only=True)
class Document:
    """A whole report."""

    title: str
    lead: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = field(default=())

    def figures(self) -> tuple[Figure, ...]:
        """Every plot, in order."""
        blocks = [block for section in self.sections for block in section.blocks]
        return tuple(block for block in [*self.lead, *blocks] if isinstance(block, Figure))


_SPECIAL = re.compile(r"([\\`*<>\[\]|#])")


def markdown(document: Document) -> str:
    """The document as Markdown that GitHub and MLflow render."""
    parts = [f"# {escape(document.title)}", *map(_markdown, document.lead)]
    for section in document.sections:
        parts += [f"{'#' * section.level} {escape(section.title)}", *map(_markdown, section.blocks)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Text in which nothing is markup.

    >>> escape("a|b *c*")
    'a\\|b \\*c\\*'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


@singledispatch
def _markdown(block: object) -> str:
    raise TypeError(f"not a block of a report: {block!r}")


@_markdown.register
def _text(block: Text) -> str:
    return escape(block.text)


@_markdown.register
def _note(block: Note) -> str:
    return f"> **Note:** {escape(block.text)}"


@_markdown.register
def _bullets(block: Bullets) -> str:
    leads = [f"**{escape(lead)}** " for lead in block.leads] + [""] * len(block.items)
    return "\n".join(f"- {lead}{escape(item)}" for lead, item in zip(leads, block.items, strict=False))


@_markdown.register
def _table(block: Table) -> str:
    rules = ("---:" if column in block.numeric else "---" for column in range(len(block.columns)))
    lines = [f"{escape(block.summary)}:", ""] if block.summary else []
    lines += [_row([escape(name) for name in block.columns]), _row(rules)]
    for number, row in enumerate(block.rows):
        cells = [escape(cell) for cell in row]
        lines.append(_row([f"**{cell}**" if cell and number in block.marked else cell for cell in cells]))
    return "\n".join(lines)


@_markdown.register
def _code(block: Code) -> str:
    longest = max((len(run) for run in re.findall("`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}"


@_markdown.register
def _figure(block: Figure) -> str:
    return f"![{escape(block.caption)}]({PLOTS}/{block.name}.svg)"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
