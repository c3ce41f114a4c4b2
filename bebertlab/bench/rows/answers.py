"""The first answer of a process from a packed model: its processor time and its memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bebertlab.accounting.size import MEBIBYTE
from bebertlab.bench.answers import FirstAnswer, first_answer
from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec
from bebertlab.bench.models import BIBERT, PACKED_SCHEMES, BenchConfig, BenchScheme
from bebertlab.bench.packed import pack_scheme
from bebertlab.bench.process import in_processes
from bebertlab.config.humanize import format_size

MEMORY: tuple[RowSpec, ...] = tuple(
    RowSpec(
        name=f"memory.{scheme.name}",
        description=(
            f"MiB of peak memory of predicting with packed {scheme.description}, without the file, above a process that"
            " has imported the package"
        ),
        better="lower",
        goal=80.0 if scheme is BIBERT else None,
        goal_shape="base",
        quick=scheme is BIBERT,
    )
    for scheme in PACKED_SCHEMES
)
COLD, CACHED = (
    RowSpec(
        name=f"start.{name}",
        description=f"seconds of processor time from the imports to the first answer, packed BiBERT, {what}",
        better="lower",
        goal=goal,
        goal_shape="base",
    )
    for name, what, goal in (("cold", "kernels compiled", 5.0), ("cached", "kernels compiled by a process before", 1.0))
)
ANSWERS = (*MEMORY, COLD, CACHED)


def measure_answers(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """The first process of a new cache folder compiles kernels; those after it read what was compiled."""
    for scheme, memory in zip(PACKED_SCHEMES, MEMORY, strict=True):
        chosen = [spec for spec in specs if spec is memory or (scheme is BIBERT and spec in (COLD, CACHED))]
        if not scheme.installed(config):
            yield from (MissingRow(spec=spec, reason=scheme.missing_reason) for spec in chosen)
        elif chosen:
            yield from _measure_scheme(scheme, chosen, config)


def _measure_scheme(scheme: BenchScheme, specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[Row]:
    repeats = 1 if config.quick or not {COLD, CACHED} & set(specs) else config.repeats // 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "packed"
        file_bytes = pack_scheme(scheme, config, folder).file
        caches = [Path(name) / f"cache-{repeat}" for repeat in range(repeats) for _ in ("cold", "cached")]
        answers = in_processes(first_answer, [(folder, config, cache) for cache in caches], at_once=1)
    cold, cached = answers[::2], answers[1::2]
    for spec in specs:
        if spec in (COLD, CACHED):
            yield _start_row(spec, cold if spec is COLD else cached)
        else:
            yield _memory_row(spec, cached, file_bytes)


def _start_row(spec: RowSpec, answers: Sequence[FirstAnswer]) -> Row:
    seconds = [answer.seconds for answer in answers]
    return Row(spec=spec, ratio=Ratio.of(seconds), note=f"processes: {len(seconds)}")


def _memory_row(spec: RowSpec, answers: Sequence[FirstAnswer], file_bytes: int) -> Row:
    peaks = [answer.peak_bytes for answer in answers]
    note = f"{format_size(round(median(peaks)))}, {format_size(file_bytes)} in the file"
    return Row(spec=spec, ratio=Ratio.of([(peak - file_bytes) / MEBIBYTE for peak in peaks]), note=note)
