"""Pairs of trials that differ in one searched option only, or in others that the baseline cannot have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import fmean
from typing import Any

from attrs import frozen

from bebertlab.interfaces.events import StudyRecord, TrialRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.points import objective


@frozen(kw_only=True, eq=False)
class Pair:
    """Two complete trials of one seed."""

    seed: int
    cell: Mapping[str, Any]  #: what the trial has on every axis but the compared one
    difference: float  #: of the objective: ours minus theirs
    ours: TrialRecord
    theirs: TrialRecord


@frozen(kw_only=True, eq=False)
class Pairing:
    """The pairs of a comparison, the same cells for every seed."""

    pairs: tuple[Pair, ...]
    left_out: int  #: trials without a partner, or in a cell that other seeds lack
    across: tuple[str, ...] = ()  #: other axes on which partners differ: the baseline has one value there

    def seeds(self) -> tuple[int, ...]:
        """Seeds with a pair, in order."""
        return tuple(sorted({pair.seed for pair in self.pairs}))

    def by_seed(self, value: Callable[[Pair], float]) -> list[float]:
        """The mean over the pairs of each seed: pairs of one seed share models and are not independent."""
        return [fmean([value(pair) for pair in self.pairs if pair.seed == seed]) for seed in self.seeds()]

    def differences(self) -> list[float]:
        """The mean difference of each seed."""
        return self.by_seed(lambda pair: pair.difference)

    def where(self, axis: str, value: object) -> Pairing:
        """The pairs that have a value on another axis."""
        kept = [pair for pair in self.pairs if identity(pair.cell.get(axis)) == identity(value)]
        return Pairing(pairs=tuple(kept), left_out=0)


def pair_up(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    path: str,
    value: object,
    baseline: object,
    *,
    across: Collection[str] = (),
) -> Pairing:
    """Pair the trials of a value with those of the baseline.

    Partners have the same seed and the same values on every other axis but those of `across`. Where cells are missing
    for some seeds, the seeds and cells that keep the most pairs are used, so that every seed is averaged over the
    same cells.
    """
    ours, theirs = (_having(trials, path, wanted) for wanted in (value, baseline))
    axes = [axis for axis in study.axes if axis != path and axis not in across]
    partners = {_key(trial, axes): trial for trial in theirs if objective(study, trial) is not None}
    found = [
        _pair(study, path, trial, partner)
        for trial in ours
        if objective(study, trial) is not None and (partner := partners.get(_key(trial, axes))) is not None
    ]
    kept = _balanced(found)
    differing = tuple(axis for axis in study.axes if axis in across and any(_differ(pair, axis) for pair in kept))
    return Pairing(pairs=kept, left_out=len(ours) - len(kept), across=differing)


def _pair(study: StudyRecord, path: str, ours: TrialRecord, theirs: TrialRecord) -> Pair:
    difference = (objective(study, ours) or 0.0) - (objective(study, theirs) or 0.0)
    cell = {axis: ours.parameters.get(axis) for axis in study.axes if axis != path}
    return Pair(seed=ours.seed, cell=cell, difference=difference, ours=ours, theirs=theirs)


def _having(trials: Sequence[TrialRecord], path: str, value: object) -> list[TrialRecord]:
    wanted = identity(value)
    return [trial for trial in trials if path in trial.parameters and identity(trial.parameters[path]) == wanted]


def _differ(pair: Pair, axis: str) -> bool:
    ours, theirs = (identity(trial.parameters.get(axis)) for trial in (pair.ours, pair.theirs))
    return ours != theirs


def _key(trial: TrialRecord, axes: Sequence[str]) -> tuple[int, str]:
    return trial.seed, identity([trial.parameters.get(axis) for axis in axes])


def _balanced(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The block of seeds x cells without holes that has the most pairs; of two such blocks the one with more seeds."""
    cells: dict[int, set[str]] = {}
    for pair in pairs:
        cells.setdefault(pair.seed, set()).add(identity(dict(pair.cell)))
    order = sorted(cells, key=lambda seed: (-len(cells[seed]), seed))
    best: tuple[set[int], set[str]] = set(), set()
    for count in range(1, len(order) + 1):
        seeds = order[:count]
        shared = set.intersection(*(cells[seed] for seed in seeds))
        if shared and count * len(shared) >= len(best[0]) * len(best[1]):
            best = set(seeds), shared
    return tuple(pair for pair in pairs if pair.seed in best[0] and identity(dict(pair.cell)) in best[1])
