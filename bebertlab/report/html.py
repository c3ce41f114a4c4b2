"""A report as one self-contained HTML file: no scripts, no requests, light and dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import singledispatch
from html import escape

from bebertlab.report.document import Block, Bullets, Code, Document, Figure, Note, Section, Table, Text


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
    """An SVG for use inside a page: no prolog, colours that follow the theme of the page."""
    body = re.sub(r"^.*?(?=<svg)", "", svg, count=1, flags=re.DOTALL)
    for colour, name in THEME.items():
        body = re.sub(re.escape(colour), f"var(--{name})", body, flags=re.IGNORECASE)
    return body.strip()


def _contents(sections: Sequence[Section]) -> str:
    links = [
        f'<a href="#{_anchor(section.title)}">{escape(section.title)}</a>' for section in sections if section.level == 2
    ]
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
    return f"<p>{escape(block.text)}</p>"


@_block.register
def _note(block: Note) -> str:
    return f'<p class="note">{escape(block.text)}</p>'


@_block.register
def _bullets(block: Bullets) -> str:
    leads = [f"<strong>{escape(lead)}</strong> " for lead in block.leads] + [""] * len(block.items)
    items = (f"<li>{lead}{escape(item)}</li>" for lead, item in zip(leads, block.items, strict=False))
    return f"<ul>{''.join(items)}</ul>"


@_block.register
def _table(block: Table) -> str:
    head = "".join(_cell("th", name, column in block.numeric) for column, name in enumerate(block.columns))
    rows = "\n".join(_row(block, row) for row in range(len(block.rows)))
    table = f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'
    return _folded(table, block.summary)


def _row(block: Table, row: int) -> str:
    marked = ' class="best"' if row in block.marked else ""
    cells = "".join(_cell("td", cell, column in block.numeric) for column, cell in enumerate(block.rows[row]))
    return f"<tr{marked}>{cells}</tr>"


def _cell(tag: str, text: str, numeric: bool) -> str:
    # names of metrics may break after their slash in the head of a column
    content = escape(text).replace("/", "/<wbr>") if tag == "th" else escape(text)
    return f"<{tag}{' class=number' if numeric else ''}>{content}</{tag}>"


@_block.register
def _code(block: Code) -> str:
    listing = f"<pre><code>{escape(block.text.rstrip())}</code></pre>"
    return _folded(listing, block.summary)


def _folded(content: str, summary: str) -> str:
    """Content that is unfolded by a click on its summary, if it has one."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>" if summary else content


@_block.register
def _figure(block: Figure) -> str:
    return f"<figure>{inline_svg(block.svg)}<figcaption>{escape(block.caption)}</figcaption></figure>"


#: colours of the plots, each replaced by a variable of the page (see `THEME`); those of series are by Okabe and Ito
#: (safe for colour blindness), ordered so that neighbours differ in lightness too
INK, MUTED, LINE, PAPER = "#1b1f24", "#656d76", "#d8dee4", "#fefefe"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

THEME = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    PAPER: "paper",
    **{colour: f"series-{column}" for column, colour in enumerate(SERIES)},
}

STYLE = """
:root {
  --ink: #1b1f24; --muted: #656d76; --line: #d8dee4; --paper: #ffffff; --shade: #f6f8fa; --accent: #0969da;
  --best: #e8f3ec; --warn: #9a6700; --warn-shade: #fff8e6;
  --series-0: #0072b2; --series-1: #d55e00; --series-2: #009e73; --series-3: #cc79a7; --series-4: #e69f00;
  --series-5: #56b4e9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6edf3; --muted: #9aa4af; --line: #363d46; --paper: #14181d; --shade: #1d2229; --accent: #6cb0ff;
    --best: #173126; --warn: #e3b341; --warn-shade: #2b2413;
    --series-0: #4aa8e0; --series-1: #f08540; --series-2: #2cc295; --series-3: #dd97bd; --series-4: #f0b535;
    --series-5: #8fd0f5;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 78rem; margin: 0 auto; padding: 2.5rem 1.5rem 5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .75rem; letter-spacing: -.01em; }
h2 { font-size: 1.4rem; margin: 3rem 0 .75rem; padding-bottom: .35rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, ul { margin: .6rem 0; max-width: 48rem; }
ul { padding-left: 1.25rem; } li { margin: .35rem 0; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
nav { display: flex; flex-wrap: wrap; gap: .35rem 1.1rem; margin: 1.5rem 0 0; padding: .7rem 0; font-size: .9rem;
  border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.note { background: var(--warn-shade); border-left: 4px solid var(--warn); padding: .7rem 1rem; border-radius: 4px; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .5rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--muted); font-weight: 600; border-bottom-width: 2px; vertical-align: bottom; white-space: normal; }
td:last-child:not(.number) { white-space: normal; min-width: 6rem; }
.number { text-align: right; }
tbody tr:hover { background: var(--shade); }
.best td { background: var(--best); font-weight: 650; }
figure { margin: 1.25rem 0; } figure svg { display: block; max-width: 100%; height: auto; }
figcaption { color: var(--muted); font-size: .875rem; margin-top: .4rem; max-width: 48rem; }
pre { background: var(--shade); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem;
  overflow-x: auto; font-size: .82rem; line-height: 1.45; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; color: var(--accent); }
@media print { main { max-width: none; padding: 0; } nav { display: none; } h2 { break-after: avoid; }
  tr, figure { break-inside: avoid; } }
"""
