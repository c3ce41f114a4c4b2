from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bebertlab.report.document import Bullets, Code, Document, Figure, Note, Section, Table, Text, escape, markdown


def test_figures_are_listed_at_any_depth() -> None:
    first, second = (Figure(name=name, svg="<svg/>", caption="") for name in "ab")
    document = Document(title="t", lead=(first,), sections=(Section(title="s", blocks=(Text(text=""), second)),))
    assert document.figures() == (first, second)


def test_columns_can_be_omitted() -> None:
    table = Table(
        columns=("a", "b", "c"),
        rows=(("1", "2", "3"), ("4", "5", "6")),
        numeric=frozenset({0, 2}),
        marked=frozenset({1}),
    )
    assert table.without({"b", "x"}) == Table(
        columns=("a", "c"), rows=(("1", "3"), ("4", "6")), numeric=frozenset({0, 1}), marked=frozenset({1})
    )
    assert table.without(()) == table


TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1).filter(str.strip)


def _rendered(document: Document) -> str:
    return str(MarkdownIt("commonmark").enable("table").render(markdown(document)))


def _section(*blocks: Text | Note | Bullets | Table | Code | Figure) -> Document:
    return Document(title="A study", sections=(Section(title="Part", blocks=blocks),))


def test_blocks_become_markdown() -> None:
    table = Table(
        columns=("name", "score"), rows=(("a|b", "1"), ("c", "2")), numeric=frozenset({1}), marked=frozenset({1})
    )
    page = _rendered(
        _section(
            Note(text="careful"),
            Bullets(items=("one", "two"), leads=("First?",)),
            table,
            Figure(name="plot", svg="", caption="seen"),
        )
    )
    assert "<h1>A study</h1>" in page
    assert "<h2>Part</h2>" in page
    assert "<strong>Note:</strong> careful" in page
    assert "<li><strong>First?</strong> one</li>\n<li>two</li>" in page
    assert "<td>a|b</td>" in page
    assert "<strong>c</strong>" in page
    assert 'src="plots/plot.svg" alt="seen"' in page


@given(TEXTS)
def test_no_text_becomes_markup(text: str) -> None:
    page = _rendered(_section(Table(columns=("x",), rows=((text,),))))
    assert page.count("<td>") == 1
    assert not any(tag in page for tag in ("<em>", "<strong>", "<code>", "<a ", "<img", "<script"))


@pytest.mark.parametrize("text", ["plain", "with ``` inside", "````"])
def test_code_is_not_escaped(text: str) -> None:
    page = _rendered(_section(Code(text=text, language="yaml")))
    assert f'<code class="language-yaml">{text}\n</code>' in page


def test_lines_are_joined() -> None:
    assert escape("a\n  b") == "a b"


def test_unknown_block_types_are_refused() -> None:
    with pytest.raises(TypeError, match="not a block"):
        markdown(Document(title="t", lead=(3,)))  # type: ignore[arg-type]


def test_a_table_of_details_has_its_summary_in_front() -> None:
    table = Table(columns=("a", "b"), rows=(("1", "2"),), summary="More")
    assert table.only([1]).summary == "More"
    page = _rendered(_section(table))
    assert page.index("<p>More:</p>") < page.index("<table>")
