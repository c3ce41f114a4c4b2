"""Which trials a question compares: cells that meet its conditions, and pairs that differ in one searched option.

A cell holds the trials of both sides under certain values of the other options; a question is answered for each cell
by itself. Within a cell, trials of one seed that differ in the compared option only are paired.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import fmean
from typing import Any

from attrs import field, frozen

from bebertlab.interfaces.events import Question, StudyRecord, TrialRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.labels import listing, short_names, value_label
from bebertlab.report.points import objective

Allowed = Mapping[str, Sequence[Any]]
"""Axes to the values that trials must have there."""


@frozen(kw_only=True, eq=False)
class Cell:
    """What the trials of both sides of a comparison must have."""

    at: Mapping[str, Any]  #: the values that distinguish this cell from the others of the question
    compared: Allowed
    reference: Allowed
    compared_fixed: Mapping[str, Any] = field(factory=dict)  #: axes on which the compared value has this value only
    reference_fixed: Mapping[str, Any] = field(factory=dict)  #: axes on which the value compared with has this one only

    def trials(
        self, path: str, values: tuple[Any, Any], trials: Sequence[TrialRecord]
    ) -> tuple[list[TrialRecord], list[TrialRecord]]:
        """The trials of the compared value, and of the value that it is compared with."""
        compared, reference = (
            [trial for trial in trials if _has(trial, path, [value]) and matches(trial, allowed)]
            for value, allowed in zip(values, (self.compared, self.reference), strict=True)
        )
        return compared, reference


def cells(study: StudyRecord, question: Question, values: tuple[Any, Any]) -> list[Cell]:
    """The cells in which a value (first) is compared with another.

    No cell averages over an option that only one of both can have: a single model of one size is compared with
    ensembles of each size by itself. A value that can have only one value of an option is exempt from a condition of
    the question on that option.
    """
    where = _where(question)
    single = [single_values(study, question.compare, value) for value in values]
    exempt = [_exempt(question, value, fixed) for value, fixed in zip(values, single, strict=True)]
    both = single[0].keys() & single[1].keys()
    if any(not _among(fixed[axis], where[axis]) for fixed in single for axis in both & where.keys()):
        return []
    # a value that is not exempt is compared where the other one has its value
    bound = {axis: fixed[axis] for fixed, free in zip(single, exempt, strict=True) for axis in fixed.keys() - free}
    split = _split_axes(study, question) | single[0].keys() | single[1].keys()
    choices = {axis: _values(study, where, axis, bound) for axis in study.axes if axis in split - both}
    result = []
    for chosen in itertools.product(*choices.values()):
        at = dict(zip(choices, chosen, strict=True))
        allowed = {**where, **{axis: [value] for axis, value in at.items()}}
        compared, reference = ({axis: allowed[axis] for axis in allowed if axis not in free} for free in exempt)
        result.append(
            Cell(at=at, compared=compared, reference=reference, compared_fixed=exempt[0], reference_fixed=exempt[1])
        )
    return result


def matching_trials(question: Question, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that meet the condition of a question."""
    return [trial for trial in trials if matches(trial, _where(question))]


def matches(trial: TrialRecord, allowed: Allowed) -> bool:
    """Whether a trial has one of the allowed values on each axis."""
    return all(_has(trial, axis, values) for axis, values in allowed.items())


def value_index(study: StudyRecord, axis: str, value: object) -> int:
    """The position of a value in the study's order."""
    return [identity(listed) for listed in study.axes[axis]].index(identity(value))


def cell_label(study: StudyRecord, at: Mapping[str, Any]) -> str:
    """The values of a cell, e.g. "size 4"; empty for a question that has one cell."""
    names = short_names(study.axes)
    return ", ".join(f"{names.get(axis, axis)} {value_label(value)}" for axis, value in at.items())


def condition(study: StudyRecord, question: Question) -> str:
    """A sentence about which trials count; empty where all do. It names only values that were searched."""
    names = short_names(study.axes)
    searched = {
        axis: [value for value in values if axis not in study.axes or _among(value, study.axes[axis])]
        for axis, values in _where(question).items()
    }
    required = [
        f"{names.get(axis, axis)} {listing([*map(value_label, values)], 'or')}" for axis, values in searched.items()
    ]
    single = {} if question.baseline is None else single_values(study, question.compare, question.baseline)
    exempt = [f"{names.get(axis, axis)} {value_label(single[axis])}" for axis in searched if axis in single]
    exception = f"; {value_label(question.baseline)} has {listing(exempt)} only" if exempt else ""
    return f"Only trials with {listing(required)} count{exception}." if required else ""


def fixed_axes(study: StudyRecord, question: Question) -> dict[str, Any]:
    """Axes on which the baseline has one value because others would mean nothing there, with that value.

    A single model has one size, and is compared with ensembles of every size. That is so where lines of `exclude`
    leave the baseline one of the listed values, and the option is one of the same stage as the compared one. What is
    excluded in other stages (long training of another stage) does mean something: there, only equals are compared.
    """
    return {} if question.baseline is None else single_values(study, question.compare, question.baseline)


def single_values(study: StudyRecord, path: str, value: object) -> dict[str, Any]:
    """Axes of the same stage of which `exclude` leaves a value of `path` one value only, with that value."""
    stage = path.split(".")[0]
    siblings = [axis for axis in study.axes if axis != path and axis.split(".")[0] == stage]
    excluded = study.resolved.get("exclude", ()) if siblings else ()
    possible = {axis: _possible(study, path, value, axis, excluded) for axis in siblings}
    return {axis: values[0] for axis, values in possible.items() if len(values) == 1 < len(study.axes[axis])}


def _possible(
    study: StudyRecord, path: str, value: object, axis: str, excluded: Sequence[Mapping[str, Any]]
) -> list[Any]:
    """The values of an axis that a value of `path` may have."""
    impossible: set[str] = set()
    for item in excluded:
        if item.keys() == {path, axis} and _among(value, _as_list(item[path])):
            impossible |= {identity(listed) for listed in _as_list(item[axis])}
    return [listed for listed in study.axes[axis] if identity(listed) not in impossible]


def _split_axes(study: StudyRecord, question: Question) -> set[str]:
    """Axes whose values are answered separately, in all comparisons of a question."""
    by = {question.by} if question.by is not None else set()
    return by | fixed_axes(study, question).keys()


def _exempt(question: Question, value: object, single: Mapping[str, Any]) -> dict[str, Any]:
    """Axes whose conditions do not bind a value, with the one value that it has there."""
    if question.baseline is None:
        return {}
    named = {*_where(question), question.by}
    is_baseline = identity(value) == identity(question.baseline)
    return {axis: only for axis, only in single.items() if is_baseline or axis in named}


def _where(question: Question) -> dict[str, list[Any]]:
    return {axis: _as_list(values) for axis, values in (question.where or {}).items()}


def _values(study: StudyRecord, where: Allowed, axis: str, bound: Mapping[str, Any]) -> list[Any]:
    values = [bound[axis]] if axis in bound else study.axes.get(axis, ())
    return [value for value in values if axis not in where or _among(value, where[axis])]


def _has(trial: TrialRecord, axis: str, values: Sequence[Any]) -> bool:
    return axis in trial.parameters and _among(trial.parameters[axis], values)


def _among(value: object, values: Sequence[Any]) -> bool:
    return identity(value) in map(identity, values)


def _as_list(values: object) -> list[Any]:
    return values if isinstance(values, list) else [values]


@frozen(kw_only=True, eq=False)
class Pair:
    """Two complete trials of one seed."""

    seed: int
    others: Mapping[str, Any]  #: what the compared trial has on every axis but the compared one
    difference: float  #: of the objective: compared minus reference
    compared: TrialRecord
    reference: TrialRecord


@frozen(kw_only=True, eq=False)
class Pairing:
    """The pairs of a comparison, with the same values of other options for every seed."""

    pairs: tuple[Pair, ...]
    left_out: int  #: trials without a partner, or with values of other options that other seeds lack
    differing: tuple[str, ...] = ()  #: other axes on which the trials of a pair differ

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
        kept = [pair for pair in self.pairs if identity(pair.others.get(axis)) == identity(value)]
        return Pairing(pairs=tuple(kept), left_out=0)


def pair_up(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    path: str,
    value: object,
    baseline: object,
    *,
    unmatched: Collection[str] = (),
) -> Pairing:
    """Pair the trials of a value with those of the baseline.

    The trials of a pair have the same seed and the same values on every other axis except those of `unmatched`. Where
    combinations of these values are missing for some seeds, the seeds and combinations that keep the most pairs are
    used, so that every seed is averaged over the same ones.
    """
    compared, references = (_having(trials, path, wanted) for wanted in (value, baseline))
    axes = [axis for axis in study.axes if axis != path and axis not in unmatched]
    partners = {_key(trial, axes): trial for trial in references if objective(study, trial) is not None}
    pairs = [
        _pair(study, path, trial, partner)
        for trial in compared
        if objective(study, trial) is not None and (partner := partners.get(_key(trial, axes))) is not None
    ]
    kept = _balanced(pairs)
    differing = tuple(axis for axis in study.axes if axis in unmatched and any(_differ(pair, axis) for pair in kept))
    return Pairing(pairs=kept, left_out=len(compared) - len(kept), differing=differing)


def _pair(study: StudyRecord, path: str, compared: TrialRecord, reference: TrialRecord) -> Pair:
    difference = (objective(study, compared) or 0.0) - (objective(study, reference) or 0.0)
    others = {axis: compared.parameters.get(axis) for axis in study.axes if axis != path}
    return Pair(seed=compared.seed, others=others, difference=difference, compared=compared, reference=reference)


def _having(trials: Sequence[TrialRecord], path: str, value: object) -> list[TrialRecord]:
    return [trial for trial in trials if _has(trial, path, [value])]


def _differ(pair: Pair, axis: str) -> bool:
    compared, reference = (identity(trial.parameters.get(axis)) for trial in (pair.compared, pair.reference))
    return compared != reference


def _key(trial: TrialRecord, axes: Sequence[str]) -> tuple[int, str]:
    return trial.seed, identity([trial.parameters.get(axis) for axis in axes])


def _balanced(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The complete block of seeds x combinations with the most pairs; of two such blocks the one with more seeds."""
    combinations: dict[int, set[str]] = {}
    for pair in pairs:
        combinations.setdefault(pair.seed, set()).add(identity(dict(pair.others)))
    order = sorted(combinations, key=lambda seed: (-len(combinations[seed]), seed))
    best: tuple[set[int], set[str]] = set(), set()
    for count in range(1, len(order) + 1):
        seeds = order[:count]
        shared = set.intersection(*(combinations[seed] for seed in seeds))
        if shared and count * len(shared) >= len(best[0]) * len(best[1]):
            best = set(seeds), shared
    return tuple(pair for pair in pairs if pair.seed in best[0] and identity(dict(pair.others)) in best[1])
