"""Rows of a benchmark are selected and measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from attrs import evolve, frozen

from bebertlab.bench.measurement import MissingRow, RowResult, RowSpec
from bebertlab.bench.models import BenchConfig
from bebertlab.errors import UserError, unknown
from bebertlab.inference.devices import torch_threads


@frozen(kw_only=True)
class RowGroup:
    """Rows that are measured together."""

    specs: tuple[RowSpec, ...]
    measure: Callable[[Sequence[RowSpec], BenchConfig], Iterator[RowResult]]


def choose(groups: Sequence[RowGroup], only: Sequence[str], *, quick: bool) -> tuple[RowSpec, ...]:
    """The rows with these names or in groups with these names (`step` is `step.w1a8`, ...); without names, all rows.

    `quick` leaves out slow rows that are not named.

    Raises:
        UserError: unknown row.
    """
    specs = [spec for group in groups for spec in group.specs]
    if not only:
        return tuple(spec for spec in specs if spec.quick or not quick)
    known = {name for spec in specs for name in (spec.name, spec.group)}
    for name in only:
        if name not in known:
            raise unknown("row", name, sorted(known))
    return tuple(spec for spec in specs if {spec.name, spec.group} & set(only))


def measure(
    groups: Sequence[RowGroup],
    specs: Sequence[RowSpec],
    config: BenchConfig,
    notify: Callable[[str], None] = lambda names: None,
) -> Iterator[RowResult]:
    """Measure rows one group after the other; `notify` is called with the groups in their names before each.

    A row is missing, with the reason, if a plugin, memory or an option that it needs is not available.
    """
    with torch_threads(config.threads):
        for group in groups:
            if chosen := [spec for spec in group.specs if spec in specs]:
                notify(", ".join(dict.fromkeys(spec.group for spec in chosen)))
                yield from _measure_group(group, chosen, config)


def _measure_group(group: RowGroup, specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    remaining = list(specs)
    try:
        for result in group.measure(specs, config):
            remaining.remove(result.spec)
            yield _with_goal_that_applies(result, config)
    except UserError as error:
        yield from (MissingRow(spec=spec, reason=str(error)) for spec in remaining)
    except torch.OutOfMemoryError as error:
        yield from (MissingRow(spec=spec, reason=f"out of memory: {error}") for spec in remaining)


def _with_goal_that_applies(result: RowResult, config: BenchConfig) -> RowResult:
    shape = result.spec.goal_shape
    if shape is None or (shape == config.shape and config.threads == 1):
        return result
    return evolve(result, spec=evolve(result.spec, goal=None))
