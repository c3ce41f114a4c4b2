"""All rows: which there are, and measuring those that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from attrs import frozen

from bebertlab.bench.row import Finding, Goal, Missing
from bebertlab.bench.rows import (
    allocations,
    compiling,
    distillation,
    feeding,
    gpu,
    memory,
    optimizer,
    precision,
    score,
    side_by_side,
    steps,
    throughput,
)
from bebertlab.bench.setting import Setting
from bebertlab.errors import UserError, unknown


@frozen(kw_only=True)
class Family:
    """Rows that are measured together."""

    targets: tuple[Goal, ...]
    measure: Callable[[Sequence[Goal], Setting], Iterator[Finding]]


FAMILIES = (
    Family(targets=steps.SHORT, measure=steps.short_steps),
    Family(targets=steps.LONG, measure=steps.long_steps),
    Family(targets=throughput.GOALS, measure=throughput.throughput),
    Family(targets=distillation.GOALS, measure=distillation.distillation),
    Family(targets=memory.GOALS, measure=memory.memory),
    Family(targets=allocations.GOALS, measure=allocations.allocations),
    Family(targets=optimizer.GOALS, measure=optimizer.optimizer),
    Family(targets=precision.GOALS, measure=precision.precision),
    Family(targets=score.GOALS, measure=score.score),
    Family(targets=feeding.GOALS, measure=feeding.feeding),
    Family(targets=side_by_side.GOALS, measure=side_by_side.side_by_side),
    Family(targets=gpu.GOALS, measure=gpu.gpu),
    Family(targets=compiling.GOALS, measure=compiling.compiling),
)


def choose(only: Sequence[str], *, quick: bool) -> tuple[Goal, ...]:
    """The targets of these names, or of families of these names (`step` is `step.w1a8`, ...); without a name, all.

    Raises:
        UserError: there is no such row.
    """
    targets = [target for family in FAMILIES for target in family.targets]
    if not only:
        return tuple(target for target in targets if target.quick or not quick)
    known = [name for target in targets for name in (target.name, target.name.partition(".")[0])]
    for name in only:
        if name not in known:
            raise unknown("row", name, sorted(set(known)))
    return tuple(target for target in targets if {target.name, target.name.partition(".")[0]} & set(only))


def measure(
    wanted: Sequence[Goal], setting: Setting, tell: Callable[[str], None] = lambda text: None
) -> Iterator[Finding]:
    """The rows, one after the other; `tell` hears the name of what is measured next.

    What cannot be measured here, for want of a plugin, of memory or of an option, is missing with its reason.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(setting.threads)
    try:
        for family in FAMILIES:
            if chosen := [target for target in family.targets if target in wanted]:
                tell(", ".join(target.name for target in chosen))
                yield from _measured(family, chosen, setting)
    finally:
        torch.set_num_threads(before)


def _measured(family: Family, chosen: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    left = list(chosen)
    try:
        for finding in family.measure(chosen, setting):
            left.remove(finding.target)
            yield finding
    except UserError as error:
        yield from (Missing(target=target, reason=str(error)) for target in left)
    except torch.OutOfMemoryError as error:
        yield from (Missing(target=target, reason=f"out of memory: {error}") for target in left)
