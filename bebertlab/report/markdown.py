"""A report as Markdown, its plots as files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import singledispatch

from bebertlab.report.document import Bullets, Code, Document, Figure, Note, Table, Text

PLOTS = "plots"  #: folder of the plots beside the report

_SPECIAL = re.compile(r"([\\`*<>\[\]|#])")


def markdown(document: Document) -> str:
    """The document as Markdown that GitHub and MLflow render."""
    parts = [f"# {escape(document.title)}", *map(_block, document.lead)]
    for section in document.sections:
        parts += [f"{'#' * section.level} {escape(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def escape(words: str) -> str:
    r"""Text with what Markdown would take for markup made harmless.

    >>> escape("a|b *c*")
    'a\\|b \\*c\\*'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))


@singledispatch
def _block(block: object) -> str:
    raise TypeError(f"not a block of a report: {block!r}")


@_block.register
def _text(block: Text) -> str:
    return escape(block.words)


@_block.register
def _note(block: Note) -> str:
    return f"> **Note:** {escape(block.words)}"


@_block.register
def _bullets(block: Bullets) -> str:
    leads = [f"**{escape(lead)}** " for lead in block.leads] + [""] * len(block.items)
    return "\n".join(f"- {lead}{escape(item)}" for lead, item in zip(leads, block.items, strict=False))


@_block.register
def _table(block: Table) -> str:
    rules = ("---:" if place in block.numeric else "---" for place in range(len(block.columns)))
    lines = [_row([escape(name) for name in block.columns]), _row(rules)]
    for place, cells in enumerate(block.rows):
        written = [escape(cell) for cell in cells]
        lines.append(_row([f"**{cell}**" if cell and place in block.marked else cell for cell in written]))
    return "\n".join(lines)


@_block.register
def _code(block: Code) -> str:
    longest = max((len(run) for run in re.findall("`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}"


@_block.register
def _figure(block: Figure) -> str:
    return f"![{escape(block.caption)}]({PLOTS}/{block.name}.svg)"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
