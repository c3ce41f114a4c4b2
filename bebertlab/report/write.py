"""The report as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from bebertlab.interfaces.events import StudyRecord, TrialRecord
from bebertlab.report.caveats import banners
from bebertlab.report.document import Block, Bullets, Document, Note, Section, Text
from bebertlab.report.html import html
from bebertlab.report.labels import count, listing, plus_minus, point_label, short_names
from bebertlab.report.markdown import PLOTS, markdown
from bebertlab.report.notes import reading, reproduce, versions, warnings
from bebertlab.report.report_data import Material, material, standing
from bebertlab.report.sections import all_points, answers, failures, fronts, select_optimism, step_scores, training_time
from bebertlab.report.wording import headlines
from bebertlab.store.fingerprint import file_digest, output_digest

_MANIFEST = "report.json"  #: what the files of a report were made from, and their hashes
_PACKAGES = ("matplotlib", "numpy", "scipy", "statsmodels")  #: besides those that the report names


def write_report(study: StudyRecord, trials: Sequence[TrialRecord], folder: Path) -> tuple[Path, ...]:
    """Write `report.md` and `report.html` into `folder`, the plots into `plots/` beside them.

    Returns:
        The two files to open. A page of either is whole at any time: it replaces the one before at once.
    """
    document = compose(study, trials)
    folder.mkdir(parents=True, exist_ok=True)
    plots = _write_plots(document, folder / PLOTS)
    pages = {path: render(document) for path, render in zip(_pages(folder), (markdown, html), strict=True)}
    for path, text in pages.items():
        _replace(path, text)
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in (*pages, *plots)}
    _replace(folder / _MANIFEST, json.dumps({"source": _source(study, trials), "files": files}, indent=1))
    return tuple(pages)


def update_report(study: StudyRecord, trials: Sequence[TrialRecord], folder: Path) -> tuple[Path, ...]:
    """As `write_report`, but leave the files alone where writing them again would not change them."""
    return _pages(folder) if _is_current(study, trials, folder) else write_report(study, trials, folder)


def _pages(folder: Path) -> tuple[Path, Path]:
    return folder / "report.md", folder / "report.html"


def _is_current(study: StudyRecord, trials: Sequence[TrialRecord], folder: Path) -> bool:
    """Whether the files of the report are those that were written, and from the same study, trials and packages."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        return bool(manifest["source"] == _source(study, trials)) and all(
            file_digest(folder / name) == digest for name, digest in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # missing, or not what was written
        return False


def _source(study: StudyRecord, trials: Sequence[TrialRecord]) -> str:
    """Everything that a report is made from. What was left when the command started is not part of it."""
    started = evolve(study, finished=0, missing={})
    return output_digest(started, *trials, versions(), packages=_PACKAGES)


def _write_plots(document: Document, folder: Path) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    wanted = {folder / f"{figure.name}.svg": figure.svg for figure in document.figures()}
    for old in set(folder.glob("*.svg")) - set(wanted):
        old.unlink()
    for path, text in wanted.items():
        _replace(path, text)
    return tuple(wanted)


def _replace(path: Path, text: str) -> None:
    half = path.with_name(f".{path.name}.part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)


def compose(study: StudyRecord, trials: Sequence[TrialRecord]) -> Document:
    """The whole report."""
    made = material(study, trials)
    sections = [
        _short(made),
        *warnings(made),
        *answers(made),
        all_points(made),
        *fronts(made),
        *step_scores(made),
        *training_time(made),
        *select_optimism(made),
        *failures(made),
        reading(made),
        reproduce(made),
    ]
    return Document(title=study.name, lead=tuple(_lead(made)), sections=tuple(sections))


def _lead(made: Material) -> list[Block]:
    study = made.study
    blocks: list[Block] = [Text(words=study.description)] if study.description else []
    return [*blocks, *(Note(words=words) for words in (*made.learned.reasons, *banners(study)))]


def _short(made: Material) -> Section:
    items = [" ".join(headlines(made.study, found, made.places)) for found in made.answers]
    leads = tuple(found.question.text for found in made.answers)
    if made.scored and not made.learned.nothing:
        best = made.scored[0]
        items.append(
            f"Best of {count(len(made.scored), 'point')}: {point_label(best.parameters, short_names(made.study.axes))} "
            f"with {made.study.objective} {plus_minus(best.score, made.places)}"
            f"{_tied(made)}. Picked as the best of many, its mean is flattering."
        )
    items.append(_facts(made))
    return Section(title="In short", blocks=(Bullets(items=tuple(items), leads=leads),))


def _tied(made: Material) -> str:
    others = len(made.ties)
    return f"; {count(others, 'other')} not shown to be worse" if others > 0 else ""


def _facts(made: Material) -> str:
    better = "higher" if made.study.maximize else "lower"
    return (
        f"{standing(made.trials, made.study.planned)}; {count(len(made.points), 'point')}, "
        f"{_seeds(made.study.seeds)}; "
        f"objective {made.study.objective}, {better} is better."
    )


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {listing([str(seed) for seed in seeds])}"
