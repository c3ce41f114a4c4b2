from __future__ import annotations

from bebertlab.report.document import Document, Figure, Section, Text


def test_figures_are_found_wherever_they_stand() -> None:
    first, second = (Figure(name=name, svg="<svg/>", caption="") for name in "ab")
    document = Document(title="t", lead=(first,), sections=(Section(title="s", blocks=(Text(words=""), second)),))
    assert document.figures() == (first, second)
