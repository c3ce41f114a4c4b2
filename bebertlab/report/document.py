"""A report as blocks, told once and written as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from attrs import field, frozen


@frozen(kw_only=True)
class Text:
    """A paragraph."""

    words: str


@frozen(kw_only=True)
class Note:
    """A paragraph that must not be overlooked."""

    words: str


@frozen(kw_only=True)
class Bullets:
    """Sentences under each other."""

    items: tuple[str, ...]
    leads: tuple[str, ...] = ()  #: bold words before the first items


@frozen(kw_only=True)
class Table:
    """Cells as text; columns of numbers are aligned right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()  #: columns of numbers
    marked: frozenset[int] = frozenset()  #: rows set in bold

    def without(self, names: Collection[str]) -> Table:
        """The table without some columns."""
        return self.only([place for place, name in enumerate(self.columns) if name not in names])

    def only(self, places: Sequence[int]) -> Table:
        """The table with some columns only, by their places."""
        return Table(
            columns=tuple(self.columns[place] for place in places),
            rows=tuple(tuple(row[place] for place in places) for row in self.rows),
            numeric=frozenset(new for new, old in enumerate(places) if old in self.numeric),
            marked=self.marked,
        )


@frozen(kw_only=True)
class Code:
    """Text as it is."""

    text: str
    language: str = ""
    folded: str = ""  #: in HTML hidden behind these words until asked for


@frozen(kw_only=True)
class Figure:
    """A plot."""

    name: str  #: file name without suffix, unique in the report
    svg: str
    caption: str


Block = Text | Note | Bullets | Table | Code | Figure


@frozen(kw_only=True)
class Section:
    """A heading with what stands below it."""

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
