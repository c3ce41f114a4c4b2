"""Packed models with no more instructions than other CPUs have."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from attrs import frozen

from bebertlab.bench.contenders import Contenders
from bebertlab.bench.data import generated_batches
from bebertlab.bench.measurement import BLOCK_SECONDS, MissingRow, Row, RowResult, RowSpec, interleave, repeated
from bebertlab.bench.models import BIBERT, BenchConfig
from bebertlab.bench.rivals import FP32, predict_all
from bebertlab.errors import SetupError
from bebertlab.kernels.target import InstructionSet, KernelTarget, kernel_target

_TOKENS = 128
_AVX2_GOAL = 7.0


@frozen(kw_only=True)
class _InstructionRow:
    spec: RowSpec
    instructions: InstructionSet


def _row(instructions: InstructionSet, description: str, goal: float | None = None) -> _InstructionRow:
    return _InstructionRow(
        spec=RowSpec(
            name=f"isa.{instructions}-{_TOKENS}",
            description=f"{FP32.description} / packed BiBERT {description}, one sentence of {_TOKENS} tokens",
            better="higher",
            goal=goal,
            goal_shape="base",
        ),
        instructions=instructions,
    )


_ROWS = (
    _row("avx2", "without AVX-512", _AVX2_GOAL),
    _row("avx512", "with AVX-512 that does not count bits"),
    _row("generic", "with what every CPU has"),
)
INSTRUCTIONS = tuple(row.spec for row in _ROWS)


def measure_instructions(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Only the encoder of the packed model is limited; float32 uses all that the CPU has."""
    targets: dict[RowSpec, KernelTarget] = {}
    for row in _ROWS:
        if row.spec not in specs:
            continue
        try:
            targets[row.spec] = kernel_target(row.instructions)
        except SetupError as error:
            yield MissingRow(spec=row.spec, reason=str(error))
    if not BIBERT.installed(config):
        yield from (MissingRow(spec=spec, reason=BIBERT.missing_reason) for spec in targets)
    elif targets:
        yield from _measure(targets, config)


def _measure(targets: dict[RowSpec, KernelTarget], config: BenchConfig) -> Iterator[Row]:
    batches = generated_batches(np.array([_TOKENS], dtype=np.int64), 1, config)
    with tempfile.TemporaryDirectory() as folder:
        contenders = Contenders(config, Path(folder))
        reference = contenders.rival(FP32)
        names = {spec: contenders.limited(BIBERT, target) for spec, target in targets.items()}
        calls = {name: partial(predict_all, contenders.predict(name), batches) for name in (reference, *names.values())}
        timings = interleave(repeated(calls, config.device, at_least=BLOCK_SECONDS), config.repeats)
    for spec, target in targets.items():
        figures = " / ".join(f"{1000 * timings.median(name):.3g} ms" for name in (reference, names[spec]))
        yield Row(spec=spec, ratio=timings.ratio(reference, names[spec]), note=f"{figures}; {target.description}")
