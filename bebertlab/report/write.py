"""The whole report: its pages and plots, and the summary that a finished study prints."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from bebertlab.files import parse_json
from bebertlab.formats import REPORT_MANIFEST
from bebertlab.interfaces.events import StudyRecord, TrialRecord
from bebertlab.report.document import PLOTS, Block, Bullets, Document, Note, Section, Table, Text, markdown
from bebertlab.report.html import html
from bebertlab.report.labels import count, listing, number, plus_minus, point_label, short_names
from bebertlab.report.narrow import least_needed, narrowed
from bebertlab.report.notes import how_to_read, reproduce, versions, warnings
from bebertlab.report.plots_curves import ReadCurve, group_curves, stored_curves
from bebertlab.report.points import failures as failed_trials
from bebertlab.report.report_data import ReportData, collect, progress_label
from bebertlab.report.sections import (
    all_points,
    answers,
    best_model,
    failures,
    learning_curves,
    pareto_sections,
    selection_bias_sections,
    stage_score_sections,
    time_by_stage,
)
from bebertlab.report.tables import KEY_DIGITS, further_metrics, points_table
from bebertlab.report.wording import headlines, sentences
from bebertlab.store.fingerprint import file_digest, output_digest

_MANIFEST = "report.json"  #: what the files of a report were written from, and their hashes
_SUMMARY = "summary.txt"
_PACKAGES = ("matplotlib", "numpy", "scipy", "statsmodels")  #: besides those that the report names

WIDTH = 120  #: characters in a line of the terminal
_NARROWEST = 8  #: minimum characters of a column


def write_report(
    study: StudyRecord, trials: Sequence[TrialRecord], folder: Path, read_curve: ReadCurve | None = None
) -> tuple[Path, ...]:
    """Write `report.md`, `report.html` and `summary.txt` into `folder`, the plots into its folder `plots`.

    `read_curve` gives the learning curves of stages; by default they are read from the store of the study.

    Returns:
        The two pages to open. Each file is complete at any time: a new one replaces the old one at once.
    """
    data = collect(study, trials)
    document = _compose(data, read_curve or stored_curves(study.work))
    folder.mkdir(parents=True, exist_ok=True)
    plots = _write_plots(document, folder / PLOTS)
    texts = dict(zip(_pages(folder), (markdown(document), html(document)), strict=True))
    texts[folder / _SUMMARY] = _summary_table(data)
    for path, text in texts.items():
        _replace(path, text)
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in (*texts, *plots)}
    manifest = {"format": REPORT_MANIFEST.number, "source": _source(study, trials), "files": files}
    _replace(folder / _MANIFEST, json.dumps(manifest, indent=1))
    return _pages(folder)


def update_report(
    study: StudyRecord, trials: Sequence[TrialRecord], folder: Path, read_curve: ReadCurve | None = None
) -> tuple[Path, ...]:
    """As `write_report`, but do not write the files where they would not change."""
    if _is_current(study, trials, folder):
        return _pages(folder)
    return write_report(study, trials, folder, read_curve)


def written_summary(folder: Path) -> str:
    """The text of `summary_table` as the report in `folder` has it: nothing is computed again."""
    return (folder / _SUMMARY).read_text(encoding="utf-8")


def _pages(folder: Path) -> tuple[Path, Path]:
    return folder / "report.md", folder / "report.html"


def _is_current(study: StudyRecord, trials: Sequence[TrialRecord], folder: Path) -> bool:
    """Whether the files of the report are unchanged, and were written from the same study, trials and packages."""
    try:
        manifest = parse_json((folder / _MANIFEST).read_bytes())
        return (
            REPORT_MANIFEST.matches(manifest["format"])
            and manifest["source"] == _source(study, trials)
            and all(file_digest(folder / name) == digest for name, digest in manifest["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # missing or damaged
        return False


def _source(study: StudyRecord, trials: Sequence[TrialRecord]) -> str:
    """A digest of everything that a report is made from; learning curves are decided by the keys of the stages.

    The number of remaining stages when the command started is not part of it.
    """
    started = evolve(study, finished=0, missing={})
    return output_digest(started, *trials, versions(), packages=_PACKAGES)


def _write_plots(document: Document, folder: Path) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    plots = {folder / f"{figure.name}.svg": figure.svg for figure in document.figures()}
    for old in set(folder.glob("*.svg")) - set(plots):
        old.unlink()
    for path, text in plots.items():
        _replace(path, text)
    return tuple(plots)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def compose(study: StudyRecord, trials: Sequence[TrialRecord], read_curve: ReadCurve | None = None) -> Document:
    """The whole report."""
    return _compose(collect(study, trials), read_curve or stored_curves(study.work))


def _compose(data: ReportData, read_curve: ReadCurve) -> Document:
    sections = [
        _summary(data),
        *warnings(data),
        *answers(data),
        all_points(data),
        *best_model(data),
        *pareto_sections(data),
        *stage_score_sections(data),
        *learning_curves(group_curves(data.study, data.trials, read_curve)),
        *time_by_stage(data),
        *selection_bias_sections(data),
        *failures(data),
        how_to_read(data),
        reproduce(data),
    ]
    return Document(title=data.study.name, lead=tuple(_lead(data)), sections=tuple(sections))


def _lead(data: ReportData) -> list[Block]:
    blocks: list[Block] = [Text(text=data.study.description)] if data.study.description else []
    return [*blocks, *(Note(text=note) for note in _notes(data))]


def _notes(data: ReportData) -> list[str]:
    """The notes above all results."""
    remarks = data.learned.remarks(is_smoke=data.study.is_smoke)
    return [*data.learned.reasons, *remarks, *(caveat.sentence for caveat in data.study.caveats)]


def _summary(data: ReportData) -> Section:
    items = [" ".join(headlines(data.study, answer, data.decimals)) for answer in data.answers]
    leads = tuple(answer.question.text for answer in data.answers)
    if data.best is not None:
        point = data.best.point
        label = point_label(point.parameters, short_names(data.study.axes))
        score = plus_minus(point.score, data.decimals)
        items.append(
            f"Best of {count(len(data.scored), 'point')}: {label}, {data.study.objective} {score}{_tied(data)}. It was"
            " picked as the best of many by this score, which is therefore too high on average."
        )
    items.append(_facts(data))
    return Section(title="Summary", blocks=(Bullets(items=tuple(items), leads=leads),))


def _tied(data: ReportData) -> str:
    others = len(data.not_shown_worse)
    return f"; {count(others, 'other')} not shown to be worse" if others > 0 else ""


def _facts(data: ReportData) -> str:
    better = "higher" if data.study.maximize else "lower"
    return (
        f"{progress_label(data.trials, data.study.planned)}; {count(len(data.points), 'point')}, "
        f"{_seeds(data.study.seeds)}; "
        f"objective {data.study.objective}, {better} is better."
    )


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {listing([str(seed) for seed in seeds])}"


def summary_table(study: StudyRecord, trials: Sequence[TrialRecord]) -> str:
    """All points, answers, the best model and failures for the terminal, in lines of at most `WIDTH` characters."""
    return _summary_table(collect(study, trials))


def _summary_table(data: ReportData) -> str:
    study = data.study
    table = points_table(study, data.points, data.not_shown_worse, data.decimals, best=not data.learned.nothing)
    parts = [f"{study.name}@{study.digest[:8]}: {progress_label(data.trials, study.planned)}"]
    parts += [line for note in _notes(data) for line in _wrapped(note, "")]
    if data.points:
        parts += ["", *_lines(narrowed(table, least_needed(table, further_metrics(study, data.points)), _fits))]
    for answer in data.answers:
        parts += ["", *_wrapped(answer.question.text, "")]
        parts += [line for sentence in sentences(study, answer, data.decimals) for line in _wrapped(sentence, "  ")]
    parts += _best_lines(data)
    failed = failed_trials(data.trials)
    parts += ["", "Failed:"] if failed else []
    parts += [line for trial, error in failed for line in _wrapped(f"{trial}: {error}", "  ")]
    return "\n".join(parts) + "\n"


def _best_lines(data: ReportData) -> list[str]:
    """The best model and the key of its result, by which other commands find its stages."""
    best = data.best
    if best is None or not best.stages:
        return []
    score = number(best.trial.metrics[data.study.objective], data.decimals)
    result = best.stages[-1]
    return [
        "",
        *_wrapped(f"Best model: {best.trial.name}, {data.study.objective} {score}", ""),
        *_wrapped(f"key of its stage {result.stage}: {result.key[:KEY_DIGITS]} (all keys: report)", "  "),
    ]


def _fits(table: Table) -> bool:
    return _are_fitting(_widths(table))


def _are_fitting(widths: Sequence[int]) -> bool:
    return sum(widths) + 2 * (len(widths) - 1) <= WIDTH


def _lines(table: Table) -> list[str]:
    widths = _fitting(_widths(table))
    lines = [_line(table, table.columns, widths), "-" * min(WIDTH, sum(widths) + 2 * (len(widths) - 1))]
    return lines + [_line(table, row, widths) for row in table.rows]


def _widths(table: Table) -> list[int]:
    return [max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True)]


def _fitting(widths: list[int]) -> list[int]:
    """The widest columns shortened until a line fits, none below `_NARROWEST`."""
    widths = list(widths)
    while not _are_fitting(widths) and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _line(table: Table, cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        _shortened(cell, width).rjust(width) if column in table.numeric else _shortened(cell, width).ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    line = "  ".join(aligned).rstrip()
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _shortened(cell: str, width: int) -> str:
    """A cell that fits; values often differ at their end, so the middle is omitted.

    >>> _shortened("binarybert(activation_bits=4)", 16)
    'binarybe…bits=4)'
    """
    if len(cell) <= width:
        return cell
    end = (width - 1) // 2
    return f"{cell[: width - 1 - end]}…{cell[len(cell) - end :]}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ") or [indent]
