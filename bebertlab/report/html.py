"""A report as one HTML file that needs nothing else: no script, no request, light and dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import singledispatch
from html import escape

from bebertlab.report.document import Block, Bullets, Code, Document, Figure, Note, Section, Table, Text
from bebertlab.report.page import STYLE, THEME


def html(document: Document) -> str:
    """The document as a self-contained page."""
    sections = "\n".join(map(_section, document.sections))
    lead = "\n".join(map(_block, document.lead))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(document.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header>
<h1>{escape(document.title)}</h1>
{lead}
</header>
{_contents(document.sections)}
{sections}
</main>
</body>
</html>
"""


def inline_svg(svg: str) -> str:
    """An SVG to stand inside a page: no prolog, colours that follow the page's theme."""
    body = re.sub(r"^.*?(?=<svg)", "", svg, count=1, flags=re.DOTALL)
    for colour, name in THEME.items():
        body = re.sub(re.escape(colour), f"var(--{name})", body, flags=re.IGNORECASE)
    return body.strip()


def _contents(sections: Sequence[Section]) -> str:
    links = [f'<a href="#{_anchor(one.title)}">{escape(one.title)}</a>' for one in sections if one.level == 2]
    return f"<nav>{' '.join(links)}</nav>" if len(links) > 1 else ""


def _section(section: Section) -> str:
    blocks = "\n".join(map(_block, section.blocks))
    heading = f'<h{section.level} id="{_anchor(section.title)}">{escape(section.title)}</h{section.level}>'
    return f"<section>\n{heading}\n{blocks}\n</section>"


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"


@singledispatch
def _block(block: Block) -> str:
    raise TypeError(f"not a block of a report: {block!r}")


@_block.register
def _text(block: Text) -> str:
    return f"<p>{escape(block.words)}</p>"


@_block.register
def _note(block: Note) -> str:
    return f'<p class="note">{escape(block.words)}</p>'


@_block.register
def _bullets(block: Bullets) -> str:
    leads = [f"<strong>{escape(lead)}</strong> " for lead in block.leads] + [""] * len(block.items)
    items = (f"<li>{lead}{escape(item)}</li>" for lead, item in zip(leads, block.items, strict=False))
    return f"<ul>{''.join(items)}</ul>"


@_block.register
def _table(block: Table) -> str:
    head = "".join(_cell("th", name, place in block.numeric) for place, name in enumerate(block.columns))
    rows = "\n".join(_row(block, place) for place in range(len(block.rows)))
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'


def _row(block: Table, place: int) -> str:
    marked = ' class="best"' if place in block.marked else ""
    cells = "".join(_cell("td", cell, column in block.numeric) for column, cell in enumerate(block.rows[place]))
    return f"<tr{marked}>{cells}</tr>"


def _cell(tag: str, words: str, numeric: bool) -> str:
    return f"<{tag}{' class=number' if numeric else ''}>{escape(words)}</{tag}>"


@_block.register
def _code(block: Code) -> str:
    listing = f"<pre><code>{escape(block.text.rstrip())}</code></pre>"
    return f"<details><summary>{escape(block.folded)}</summary>{listing}</details>" if block.folded else listing


@_block.register
def _figure(block: Figure) -> str:
    return f"<figure>{inline_svg(block.svg)}<figcaption>{escape(block.caption)}</figcaption></figure>"
