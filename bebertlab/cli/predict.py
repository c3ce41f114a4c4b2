"""`bebertlab predict`: classify the texts of a stream or a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bebertlab.cli.options import PathType, Settings, pass_settings, work_option
from bebertlab.cli.prediction_format import OUTPUT_FORMATS, OutputFormat
from bebertlab.errors import UserError
from bebertlab.text_input.source import INPUT_FORMATS, InputFormat, format_of, open_file, read_stream

if TYPE_CHECKING:
    from bebertlab.classifier import TextClassifier
    from bebertlab.cli.output_file import OutputFile
    from bebertlab.cli.prediction_stream import PredictionStream
    from bebertlab.text_input.record import TextSource

BATCH = 1024  #: texts that are read, computed and written at once
_STDIN = Path("-")


@click.command("predict")
@click.argument("name", metavar="MODEL")
@click.argument("file", required=False, type=PathType(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--input-format",
    type=click.Choice(INPUT_FORMATS),
    help="Format of the input.  [default: by the suffix of FILE; text on standard input]",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME",
    help="Column of the texts; twice for pairs of texts.  [default: the only column]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(OUTPUT_FORMATS),
    help="Format of the output.  [default: csv if the suffix of --output is .csv, otherwise jsonl]",
)
@click.option("--output", type=PathType(dir_okay=False), help="File to write to.  [default: standard output]")
@click.option(
    "--top", type=click.IntRange(1), metavar="K", help="Show only the K most probable classes, in that order."
)
@click.option(
    "--on-error",
    type=click.Choice(["stop", "null"]),
    default="stop",
    show_default=True,
    help="Stop at an input without a usable text, or write null and the error for it.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=BATCH,
    show_default=True,
    help="Texts that are read, computed and written together; a terminal has 1.",
)
@click.option(
    "--cascade",
    is_flag=True,
    help="Of an ensemble: ask the next member only where the answer so far is uncertain, by the margin that was chosen"
    " when it was packed.",
)
@click.option(
    "--margin",
    type=click.FloatRange(min=0),
    help="The same with this margin: the difference of the two largest probabilities, from 0 to 1.",
)
@click.option("--device", default="cpu", show_default=True, help="Device to compute on, e.g. cuda or cuda:1.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of torch.")
@work_option
@pass_settings
def predict_command(
    settings: Settings,
    name: str,
    file: Path | None,
    input_format: InputFormat | None,
    columns: tuple[str, ...],
    form: OutputFormat | None,
    output: Path | None,
    top: int | None,
    on_error: str,
    batch_size: int,
    cascade: bool,
    margin: float | None,
    device: str,
    threads: int,
    work: Path,
) -> None:
    """Classify texts: the lines of standard input, or the texts in FILE.

    MODEL is a folder, or a stored stage as in `model show`; a stage that merges stands for the whole ensemble. FILE is
    text with one input per line, CSV or TSV with a header, JSON lines or parquet.

    Each input gives one row in the same order: an empty line is an empty text. Blank lines of CSV, TSV and JSON lines
    are no inputs.

    Example: bebertlab predict FOLDER reviews.csv --column text --output predictions.csv
    """
    from bebertlab.cli.output_file import OutputFile
    from bebertlab.cli.prediction_format import row_format
    from bebertlab.cli.prediction_stream import PredictionStream, record_batches
    from bebertlab.cli.text_progress import TextProgress
    from bebertlab.inference.devices import torch_threads
    from bebertlab.study.interrupts import Interrupts

    typed = _is_typed(file)
    with _open_source(file, input_format, columns) as source, torch_threads(threads), Interrupts() as interrupts:
        classifier = _read_classifier(settings, name, work, device, cascade if margin is None else margin)
        stop = on_error == "stop"
        rows = row_format(form or _format_of(output), classifier.classes, top=top, errors=not stop)
        with (
            OutputFile(output) as target,
            TextProgress(source.total, hidden=typed or target.is_terminal) as progress,
        ):
            stream = PredictionStream(
                classifier=classifier, rows=rows, source=source, write=target.write, interrupts=interrupts, stop=stop
            )
            with _rows_counted(stream, target):
                stream.start()
                for batch in record_batches(source, 1 if typed else batch_size):
                    stream.process(batch)
                    progress.update(source.position, stream.written)
    for warning in stream.warnings():
        click.echo(f"warning: {warning}", err=True)
    if classifier.cascade is not None and stream.members_asked is not None:
        click.echo(f"cascade: {stream.members_asked:.2f} of {classifier.members} members on average", err=True)


def _is_typed(file: Path | None) -> bool:
    """Whether a person types the input."""
    typed = file in (None, _STDIN) and sys.stdin.isatty()
    if typed:
        click.echo("one input per line; Ctrl-D ends", err=True)
    return typed


@contextmanager
def _open_source(file: Path | None, form: InputFormat | None, columns: Sequence[str]) -> Iterator[TextSource]:
    if file is None or file == _STDIN:
        yield read_stream(sys.stdin.buffer, "standard input", form or "text", columns)
        return
    with open_file(file, form or format_of(file), columns) as source:
        yield source


def _format_of(output: Path | None) -> OutputFormat:
    return "csv" if output and output.suffix.lower() == ".csv" else "jsonl"


def _read_classifier(settings: Settings, name: str, work: Path, device: str, cascade: bool | float) -> TextClassifier:
    from bebertlab.classifier import read_classifier
    from bebertlab.study.find import find_model

    return read_classifier(find_model(name, work, ensembles=True), settings.codec(), device=device, cascade=cascade)


@contextmanager
def _rows_counted(stream: PredictionStream, target: OutputFile) -> Iterator[None]:
    """Print how many rows are written where not all are."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        where = f" to {target.partial or target.path}" if target.path else ""
        click.echo(f"rows written{where}: {stream.written}", err=True)
        raise
