"""Which things to take where all of them cost too much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class _Load(NamedTuple):
    cost: float
    value: float
    taken: int  #: bit i is set where thing i is taken


def choose(values: Sequence[float], costs: Sequence[float], budget: float) -> tuple[bool, ...]:
    """The things of the highest total value whose costs do not exceed the budget, exactly; of equals the cheaper ones.

    maximize sum of s_i u_i over s in {0, 1}^n with sum of s_i c_i <= budget, by dynamic programming over the loads that
    no other load beats in both cost and value. There are at most as many of them as different sums of costs, which are
    few where many things cost the same, as the matrices of a BERT do. What has no positive value is left.
    Raises nothing: costs are not negative, and with a negative budget nothing is taken.

    >>> choose([6.0, 5.0, 5.0], [3.0, 2.0, 2.0], 4.0)
    (False, True, True)
    """
    best = [_Load(0.0, 0.0, 0)]
    for place, (value, cost) in enumerate(zip(values, costs, strict=True)):
        if value > 0:
            added = [_Load(load.cost + cost, load.value + value, load.taken | 1 << place) for load in best]
            best = _unbeaten([*best, *(load for load in added if load.cost <= budget)])
    taken = best[-1].taken
    return tuple(bool(taken >> place & 1) for place in range(len(values)))


def _unbeaten(loads: list[_Load]) -> list[_Load]:
    """Loads by rising cost, each of a higher value than all cheaper ones."""
    kept: list[_Load] = []
    for load in sorted(loads, key=lambda load: (load.cost, -load.value, load.taken)):
        if not kept or load.value > kept[-1].value:
            kept.append(load)
    return kept
