"""Training seconds: of a group of stages by pair, and of a whole study with what the store saved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from attrs import frozen

from bebertlab.interfaces.events import StageEvent, TrialRecord
from bebertlab.report.pairs import Pairing
from bebertlab.report.rows import told, training_seconds
from bebertlab.report.statistics import Interval, ratio


@frozen(kw_only=True, eq=False)
class Cost:
    """Training seconds of a stage or group beside the baseline's, over the pairs of a comparison."""

    group: str
    ours: float  #: mean over pairs
    theirs: float
    ratio: Interval | None  #: geometric mean over seeds


@frozen(kw_only=True)
class StageCost:
    """What a stage or group of stages took in the whole study."""

    group: str
    made: int  #: different artifacts
    used: int  #: times a trial needed one
    seconds: float  #: of making each once
    without_store: float  #: seconds, had every trial made its own


def cost(pairing: Pairing, group: str) -> Cost | None:
    """The cost of a group; None where no trial has such stages."""
    ours = pairing.by_seed(lambda pair: training_seconds(pair.ours, group) or 0.0)
    theirs = pairing.by_seed(lambda pair: training_seconds(pair.theirs, group) or 0.0)
    if not any(ours) and not any(theirs):
        return None
    means = (math.fsum(values) / len(values) for values in (ours, theirs))
    return Cost(group=group, ours=next(means), theirs=next(means), ratio=ratio(ours, theirs))


def stage_costs(trials: Sequence[TrialRecord]) -> tuple[StageCost, ...]:
    """What each stage or group took, in the order of the plan."""
    events: dict[str, list[StageEvent]] = {}
    for trial in trials:
        for event in told(trial):
            events.setdefault(event.stage.split(".")[0], []).append(event)
    return tuple(_stage_cost(group, found) for group, found in events.items())


def _stage_cost(group: str, events: Sequence[StageEvent]) -> StageCost:
    once: Mapping[str, float] = {event.key: event.seconds for event in events}
    return StageCost(
        group=group,
        made=len(once),
        used=len(events),
        seconds=math.fsum(once.values()),
        without_store=math.fsum(event.seconds for event in events),
    )
