"""The first answer of a process from a packed model: its processor time and its memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bebertlab.bench.answers import FirstAnswer, first_answer
from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec
from bebertlab.bench.models import BIBERT, PACKED_SCHEMES, BenchConfig, BenchScheme
from bebertlab.bench.packed import pack_scheme
from bebertlab.bench.process import in_processes
from bebertlab.config.humanize import format_size

_MEBIBYTE = 2**20

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
START = (COLD, CACHED)


def measure_memory(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Every model in a process of its own, with kernels that were compiled before."""
    for scheme, spec in zip(PACKED_SCHEMES, MEMORY, strict=True):
        if spec not in specs:
            continue
        if not scheme.installed(config):
            yield MissingRow(spec=spec, reason=scheme.missing_reason)
            continue
        file_bytes, answers = _answers(scheme, config, 1)
        peak = answers[-1].peak_bytes
        note = f"{format_size(peak)}, {format_size(file_bytes)} in the file"
        yield Row(spec=spec, ratio=Ratio.of([(peak - file_bytes) / _MEBIBYTE]), note=note)


def measure_start(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """The first process of a cache folder compiles; those after it read what was compiled."""
    if not BIBERT.installed(config):
        yield from (MissingRow(spec=spec, reason=BIBERT.missing_reason) for spec in specs)
        return
    colds, cached = [], []
    for _ in range(1 if config.quick else config.repeats // 2):
        first, *others = _answers(BIBERT, config, 1)[1]
        colds.append(first.seconds)
        cached += [answer.seconds for answer in others]
    for spec in specs:
        seconds = colds if spec is COLD else cached
        yield Row(spec=spec, ratio=Ratio.of(seconds), note=f"median of {len(seconds)}: {median(seconds):.2f} s")


def _answers(scheme: BenchScheme, config: BenchConfig, cached: int) -> tuple[int, list[FirstAnswer]]:
    """Bytes of the file, and the answers of processes one after the other, which share a new cache of kernels."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "packed"
        report = pack_scheme(scheme, config, folder)
        arguments = [(folder, config, Path(name) / "cache")] * (1 + cached)
        return report.file, in_processes(first_answer, arguments, at_once=1)
