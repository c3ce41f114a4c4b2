"""The rows of `bebertlab bench train`: selecting and measuring them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from attrs import frozen

from bebertlab.bench.measurement import MissingRow, RowResult, RowSpec
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rows import concurrency, memory, precision, steps, throughput
from bebertlab.errors import UserError, unknown


@frozen(kw_only=True)
class RowGroup:
    """Rows that are measured together."""

    specs: tuple[RowSpec, ...]
    measure: Callable[[Sequence[RowSpec], BenchConfig], Iterator[RowResult]]


GROUPS = (
    RowGroup(specs=steps.SHORT, measure=steps.measure_short_steps),
    RowGroup(specs=steps.LONG, measure=steps.measure_long_steps),
    RowGroup(specs=throughput.THROUGHPUT, measure=throughput.measure_throughput),
    RowGroup(specs=steps.DISTILLATION, measure=steps.measure_distillation),
    RowGroup(specs=memory.PEAKS, measure=memory.measure_peaks),
    RowGroup(specs=memory.ALLOCATIONS, measure=memory.measure_allocations),
    RowGroup(specs=steps.OPTIMIZER, measure=steps.measure_optimizer),
    RowGroup(specs=precision.PRECISION, measure=precision.measure_precision),
    RowGroup(specs=precision.SCORE, measure=precision.measure_score),
    RowGroup(specs=throughput.FEEDING, measure=throughput.measure_feeding),
    RowGroup(specs=concurrency.CONCURRENCY, measure=concurrency.measure_concurrency),
    RowGroup(specs=throughput.GPU, measure=throughput.measure_gpu),
    RowGroup(specs=steps.COMPILE, measure=steps.measure_compile),
)


def choose(only: Sequence[str], *, quick: bool) -> tuple[RowSpec, ...]:
    """The rows with these names or in groups with these names (`step` is `step.w1a8`, ...); without names, all rows.

    `quick` leaves out slow rows that are not named.

    Raises:
        UserError: unknown row.
    """
    specs = [spec for group in GROUPS for spec in group.specs]
    if not only:
        return tuple(spec for spec in specs if spec.quick or not quick)
    known = {name for spec in specs for name in (spec.name, spec.group)}
    for name in only:
        if name not in known:
            raise unknown("row", name, sorted(known))
    return tuple(spec for spec in specs if {spec.name, spec.group} & set(only))


def measure(
    specs: Sequence[RowSpec], config: BenchConfig, notify: Callable[[str], None] = lambda names: None
) -> Iterator[RowResult]:
    """Measure rows one group after the other; `notify` is called with the names of the rows that are measured next.

    A row is missing, with the reason, if a plugin, memory or an option that it needs is not available.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        for group in GROUPS:
            if chosen := [spec for spec in group.specs if spec in specs]:
                notify(", ".join(spec.name for spec in chosen))
                yield from _measure_group(group, chosen, config)
    finally:
        torch.set_num_threads(threads)


def _measure_group(group: RowGroup, specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    remaining = list(specs)
    try:
        for result in group.measure(specs, config):
            remaining.remove(result.spec)
            yield result
    except UserError as error:
        yield from (MissingRow(spec=spec, reason=str(error)) for spec in remaining)
    except torch.OutOfMemoryError as error:
        yield from (MissingRow(spec=spec, reason=f"out of memory: {error}") for spec in remaining)
