from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from bebertlab.report.document import Bullets, Code, Document, Figure, Note, Section, Table, Text
from bebertlab.report.html import INK, SERIES, STYLE, THEME, html, inline_svg

PROLOG = '<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "x" "y">\n'
SVG = f'{PROLOG}<svg><path style="fill: {INK}; stroke: {SERIES[1]}"/></svg>\n'
VOID = {"meta", "br", "path", "use"}


class _Balanced(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def _page() -> str:
    table = Table(
        columns=("name", "score"), rows=(("<b>", "1"), ("c", "2")), numeric=frozenset({1}), marked=frozenset({0})
    )
    blocks = (
        Text(text="a & b"),
        Note(text="careful"),
        Bullets(items=("one", "two"), leads=("First?",)),
        table,
        Code(text="x: <y>", summary="The file"),
        Table(columns=("z",), rows=(("9",),), summary="More <columns>"),
        Code(text="run"),
        Figure(name="plot", svg=SVG, caption="seen"),
    )
    sections = (Section(title="Part one", blocks=blocks), Section(title="Part two"))
    return html(Document(title="A <study>", lead=(Text(text="lead"),), sections=sections))


def test_page_is_well_formed() -> None:
    parser = _Balanced()
    parser.feed(_page())
    assert not parser.open


def test_blocks_become_html() -> None:
    page = _page()
    assert "<title>A &lt;study&gt;</title>" in page
    assert "<p>a &amp; b</p>" in page
    assert '<p class="note">careful</p>' in page
    assert "<li><strong>First?</strong> one</li><li>two</li>" in page
    assert '<tr class="best"><td>&lt;b&gt;</td><td class=number>1</td></tr>' in page
    assert '<details><summary>More &lt;columns&gt;</summary><div class="wide"><table>' in page
    assert "<details><summary>The file</summary><pre><code>x: &lt;y&gt;</code></pre></details>" in page
    assert "<figcaption>seen</figcaption>" in page
    assert '<a href="#part-two">Part two</a>' in page
    assert '<h2 id="part-two">' in page


def test_the_page_makes_no_network_requests() -> None:
    assert not re.search(r"<script|<link|<img|@import|url\(|src=", _page())


def test_plots_follow_the_theme() -> None:
    body = inline_svg(SVG)
    assert body == '<svg><path style="fill: var(--ink); stroke: var(--series-1)"/></svg>'


@pytest.mark.parametrize("name", THEME.values())
def test_every_colour_has_a_light_and_a_dark_value(name: str) -> None:
    assert STYLE.count(f"--{name}:") == 2


def test_unknown_block_types_are_refused() -> None:
    with pytest.raises(TypeError, match="not a block"):
        html(Document(title="t", lead=(3,)))  # type: ignore[arg-type]
