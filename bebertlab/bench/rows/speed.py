"""Time of predictions: packed models, other number formats and other programs, on the same sentences in one run."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.bench.contenders import Contenders
from bebertlab.bench.data import generated_batches, sentence_lengths
from bebertlab.bench.measurement import (
    BLOCK_SECONDS,
    MissingRow,
    Ratio,
    Row,
    RowResult,
    RowSpec,
    Timings,
    interleave,
    repeated,
)
from bebertlab.bench.models import BIBERT, BIT, PACKED_SCHEMES, W1A4, W1A8, W2A8, BenchConfig, BenchScheme
from bebertlab.bench.rivals import FP32, RIVALS, Rival, predict_all
from bebertlab.interfaces.architecture import LINEAR_SITES
from bebertlab.model.spec import quantizable_modules
from bebertlab.packed.products import PACKED_PRODUCTS, Choice


@frozen(kw_only=True)
class Workload:
    """Sentences that are predicted."""

    name: str  #: in names of rows
    description: str
    tokens: int | None = None  #: of the only sentence; None: they are as long as those of SST-2
    sentences: int = 1
    batch_size: int = 1
    quick: bool = True

    def lengths(self, seed: int) -> NDArray[np.int64]:
        """Tokens of each sentence, (N,)."""
        return (
            sentence_lengths(self.sentences, seed) if self.tokens is None else np.array([self.tokens], dtype=np.int64)
        )

    def figure(self, seconds: float) -> str:
        """Seconds for all sentences as what one reads: a latency, or a throughput."""
        return f"{1000 * seconds:.3g} ms" if self.tokens else f"{self.sentences / seconds:.3g} sentences/s"


TOKENS_16, TOKENS_32, TOKENS_128 = (
    Workload(name=str(tokens), description=f"one sentence of {tokens} tokens", tokens=tokens, quick=tokens != 16)
    for tokens in (16, 32, 128)
)
BATCH_8, BATCH_32 = (
    Workload(
        name=f"batch{batch_size}",
        description=f"batches of {batch_size} at lengths of SST-2",
        sentences=sentences,
        batch_size=batch_size,
        quick=batch_size == 8,
    )
    for batch_size, sentences in ((8, 16), (32, 32))
)
WORKLOADS = (TOKENS_16, TOKENS_32, TOKENS_128, BATCH_8, BATCH_32)

_FP32_GOALS = {
    (BIBERT.name, TOKENS_128.name): 22.0,
    (BIBERT.name, TOKENS_32.name): 28.0,
    (BIT.name, TOKENS_128.name): 14.0,
    (BIBERT.name, BATCH_8.name): 20.0,
    (BIBERT.name, BATCH_32.name): 20.0,
}
_INT8_GOALS = {
    (BIBERT.name, TOKENS_128.name): 5.0,
    (W1A4.name, TOKENS_128.name): 1.25,
    (W1A8.name, TOKENS_128.name): 1.0,
    (W2A8.name, TOKENS_128.name): 1.0,
}


@frozen(kw_only=True)
class _SpeedRow:
    """A row and what is compared for it: with fp32, or with the fastest int8 rival."""

    spec: RowSpec
    workload: Workload
    contender: BenchScheme | Rival
    int8: bool = False

    @property
    def split(self) -> bool:
        """The rivals have the sizes of a split model too."""
        return isinstance(self.contender, BenchScheme) and self.contender.split

    def missing_reason(self, config: BenchConfig) -> str:
        """Why it cannot be measured; empty if it can."""
        if isinstance(self.contender, Rival):
            return self.contender.missing_reason
        if not self.contender.installed(config):
            return self.contender.missing_reason
        return "" if not self.int8 or _int8_rivals(config) else "no int8 rival is installed"


def _rows(workload: Workload) -> Iterator[_SpeedRow]:
    for scheme in PACKED_SCHEMES:
        yield _SpeedRow(
            spec=_spec(
                f"fp32.{scheme.name}",
                f"{FP32.description} / packed {scheme.description}",
                workload,
                _FP32_GOALS.get((scheme.name, workload.name)),
            ),
            workload=workload,
            contender=scheme,
        )
        yield _SpeedRow(
            spec=_spec(
                f"int8.{scheme.name}",
                f"fastest int8 rival{' of the split sizes' if scheme.split else ''} / packed {scheme.description}",
                workload,
                _INT8_GOALS.get((scheme.name, workload.name)),
            ),
            workload=workload,
            contender=scheme,
            int8=True,
        )
    for rival in RIVALS:
        spec = _spec(f"rival.{rival.name}", f"{FP32.description} / {rival.description}", workload, quick=rival.quick)
        yield _SpeedRow(spec=spec, workload=workload, contender=rival)


def _spec(name: str, description: str, workload: Workload, goal: float | None = None, *, quick: bool = True) -> RowSpec:
    return RowSpec(
        name=f"{name}-{workload.name}",
        description=f"{description}, {workload.description}",
        better="higher",
        goal=goal,
        goal_shape="base",
        quick=quick and workload.quick,
    )


_ROWS = tuple(row for workload in WORKLOADS for row in _rows(workload))
KERNELS = tuple(
    RowSpec(
        name=f"kernels.{scheme.name}",
        description=f"share of the linear layers of packed {scheme.description} that are computed from packed bits",
        better="higher",
    )
    for scheme in PACKED_SCHEMES
)
SPEED = (*(row.spec for row in _ROWS), *KERNELS)


def measure_speed(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Everything that predicts the same sentences is timed alternately, under the same load."""
    chosen = [row for row in _ROWS if row.spec in specs]
    measurable = []
    for row in chosen:
        if reason := row.missing_reason(config):
            yield MissingRow(spec=row.spec, reason=reason)
        else:
            measurable.append(row)
    with tempfile.TemporaryDirectory() as folder:
        contenders = Contenders(config, Path(folder))
        for workload in WORKLOADS:
            if rows := [row for row in measurable if row.workload is workload]:
                yield from _measure_workload(rows, workload, contenders, config)
        yield from _kernel_rows(specs, contenders, config)


def _kernel_rows(specs: Sequence[RowSpec], contenders: Contenders, config: BenchConfig) -> Iterator[RowResult]:
    for spec, scheme in zip(KERNELS, PACKED_SCHEMES, strict=True):
        if spec not in specs:
            continue
        if scheme.installed(config):
            choices = contenders.choices(scheme)
            yield Row(spec=spec, ratio=Ratio.of([_packed_share(choices, config)]), note=_reasons(choices))
        else:
            yield MissingRow(spec=spec, reason=scheme.missing_reason)


def _packed_share(choices: Mapping[str, Choice], config: BenchConfig) -> float:
    """Layers in one call of generated code have no separate choices."""
    linears = [path for path, site in quantizable_modules(config.architecture).items() if site in LINEAR_SITES]
    generated = [path for path in linears if path not in choices or choices[path].product in PACKED_PRODUCTS]
    return len(generated) / len(linears)


def _reasons(choices: Mapping[str, Choice]) -> str:
    """Each product with the number of parts that it computes, and why.

    >>> _reasons({"a": Choice("planes", "faster"), "b": Choice("planes", "faster")})
    '2 planes: faster'
    """
    counts = Counter(choices.values())
    return "; ".join(f"{count} {choice.product}: {choice.reason}" for choice, count in counts.items())


def _measure_workload(
    rows: Sequence[_SpeedRow], workload: Workload, contenders: Contenders, config: BenchConfig
) -> Iterator[Row]:
    batches = generated_batches(workload.lengths(config.seed), workload.batch_size, config)
    reference = contenders.rival(FP32)
    names = {row.spec: _contender(row, contenders) for row in rows}
    rivals = {row.split: _int8_contenders(contenders, config, split=row.split) for row in rows if row.int8}
    every = dict.fromkeys((reference, *names.values(), *(name for each in rivals.values() for name in each)))
    calls = {name: partial(predict_all, contenders.predict(name), batches) for name in every}
    timings = interleave(repeated(calls, config.device, at_least=BLOCK_SECONDS), config.repeats)
    for row in rows:
        slow = min(rivals[row.split], key=timings.median) if row.int8 else reference
        yield _row(row, timings, slow, names[row.spec])


def _row(row: _SpeedRow, timings: Timings, slow: str, fast: str) -> Row:
    figures = [row.workload.figure(timings.median(name)) for name in (slow, fast)]
    note = f"{figures[0]}{f' ({slow})' if row.int8 else ''} / {figures[1]}"
    if isinstance(row.contender, Rival) and row.contender.origin:
        note += f"; {row.contender.origin}"
    return Row(spec=row.spec, ratio=timings.ratio(slow, fast), note=note)


def _contender(row: _SpeedRow, contenders: Contenders) -> str:
    if isinstance(row.contender, Rival):
        return contenders.rival(row.contender)
    return contenders.scheme(row.contender)


def _int8_rivals(config: BenchConfig) -> list[Rival]:
    return [rival for rival in RIVALS if rival.int8 and not rival.missing_reason and (rival.quick or not config.quick)]


def _int8_contenders(contenders: Contenders, config: BenchConfig, *, split: bool) -> list[str]:
    return [contenders.rival(rival, split=split) for rival in _int8_rivals(config)]
