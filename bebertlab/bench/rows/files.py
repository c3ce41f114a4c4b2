"""Sizes of the files of packed models."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from bebertlab.accounting.size import MEBIBYTE, model_size
from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec
from bebertlab.bench.models import BIBERT, BIT, PACKED_SCHEMES, W1A4, W1A8, BenchConfig, BenchScheme
from bebertlab.bench.packed import pack_scheme

_GOALS = {BIBERT.name: 15.0, BIT.name: 15.0, W1A4.name: 18.0, W1A8.name: 18.0}
_MEMBERS = 2
_MEMBERS_GOAL = 33.0


@frozen(kw_only=True)
class _FileRow:
    spec: RowSpec
    scheme: BenchScheme
    members: int = 1


def _spec(name: str, description: str, goal: float | None) -> RowSpec:
    return RowSpec(
        name=f"file.{name}",
        description=f"MiB of the file of tensors, {description}",
        better="lower",
        goal=goal,
        goal_shape="base",
        quick=False,
    )


_ROWS = (
    *(
        _FileRow(spec=_spec(scheme.name, scheme.description, _GOALS.get(scheme.name)), scheme=scheme)
        for scheme in PACKED_SCHEMES
    ),
    _FileRow(
        spec=_spec("members", f"an ensemble of {_MEMBERS} of {W1A4.description}", _MEMBERS_GOAL),
        scheme=W1A4,
        members=_MEMBERS,
    ),
)
_COST_GOAL = 2.0  #: percent
COSTS = tuple(
    RowSpec(
        name=f"cost.{row.spec.member}",
        description=f"percent by which the file and the size of `model cost` differ, {row.scheme.description}"
        f"{f', {row.members} members' if row.members > 1 else ''}",
        better="lower",
        goal=_COST_GOAL,
        goal_shape="base",
        quick=False,
    )
    for row in _ROWS
)
FILES = (*(row.spec for row in _ROWS), *COSTS)


def measure_files(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """What is written to the disk, next to the size that is counted from bits."""
    for row, cost in zip(_ROWS, COSTS, strict=True):
        chosen = [spec for spec in (row.spec, cost) if spec in specs]
        if not row.scheme.installed(config):
            yield from (MissingRow(spec=spec, reason=row.scheme.missing_reason) for spec in chosen)
            continue
        if not chosen:
            continue
        with tempfile.TemporaryDirectory() as folder:
            written = pack_scheme(row.scheme, config, Path(folder) / "packed", members=row.members).file / MEBIBYTE
        counted = row.members * model_size(row.scheme.build(config)).total_mebibytes
        note = f"counted from bits: {counted:.2f} MiB, {written / counted - 1:+.1%} in the file"
        for spec in chosen:
            value = written if spec is row.spec else 100 * abs(written / counted - 1)
            yield Row(spec=spec, ratio=Ratio.of([value]), note=note)
