from __future__ import annotations

from bebertlab.report.document import Document, Figure, Section, Table, Text


def test_figures_are_found_wherever_they_stand() -> None:
    first, second = (Figure(name=name, svg="<svg/>", caption="") for name in "ab")
    document = Document(title="t", lead=(first,), sections=(Section(title="s", blocks=(Text(words=""), second)),))
    assert document.figures() == (first, second)


def test_columns_can_be_left_out() -> None:
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
