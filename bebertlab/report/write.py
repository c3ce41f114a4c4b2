"""The report as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bebertlab.interfaces.events import StudyRecord, TrialRecord
from bebertlab.report.compose import compose
from bebertlab.report.document import Document
from bebertlab.report.html import html
from bebertlab.report.markdown import PLOTS, markdown


def write_report(study: StudyRecord, trials: Sequence[TrialRecord], folder: Path) -> tuple[Path, ...]:
    """Write `report.md` and `report.html` into `folder`, the plots into `plots/` beside them.

    Returns:
        The two files to open. A page of either is whole at any time: it replaces the one before at once.
    """
    document = compose(study, trials)
    folder.mkdir(parents=True, exist_ok=True)
    _write_plots(document, folder / PLOTS)
    pages = {folder / "report.md": markdown(document), folder / "report.html": html(document)}
    for path, text in pages.items():
        _replace(path, text)
    return tuple(pages)


def _write_plots(document: Document, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    wanted = {folder / f"{figure.name}.svg": figure.svg for figure in document.figures()}
    for old in set(folder.glob("*.svg")) - set(wanted):
        old.unlink()
    for path, text in wanted.items():
        _replace(path, text)


def _replace(path: Path, text: str) -> None:
    half = path.with_name(f".{path.name}.part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
