"""Kits for ensembles and the rules that merge their members."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from bebertlab.interfaces.ensemble import (
    EnsembleOptions,
    Floats,
    MemberResult,
    Merger,
    MergerOptions,
    SampleWeights,
    Sampling,
    signature_problem,
)
from bebertlab.interfaces.training_data import TrainingData
from bebertlab.testing.contract import ContractError, require

T = TypeVar("T")

_EXAMPLES = 40
_GOOD = "a good member"
_MEMBERS = 4
_SEEDS = (0, 1, 2, 3, 4)
_TOLERANCE = 1e-9  # for rounding
_NEGLIGIBLE = 1e-6  # of an equal share
_ADVICE = "; draw with data.uniform(name, index), which gives each example a number by its id and the seed"


def check_ensemble(options: EnsembleOptions, classes: int = 2) -> None:
    """Check an ensemble for a task of `classes` classes, 1 for regression; one line in a plugin's tests.

    Weights of examples are at least 0 and sum to 1 after good, bad, perfect and useless members alike; each stays with
    its example when the examples are reordered, for the first member and later ones; random choices differ between
    seeds and between members, and are the same in every process; no example with weight 0 is computed; a discarded
    member has weight 0; the methods are functions of their arguments, which they do not change; the default merger
    passes `check_merger`.

    Raises:
        ContractError: an AssertionError that says what does not hold, with the name of the method.
    """
    problem = signature_problem(options.build(classes))
    require(not problem, problem)
    case = _Case(options=options, classes=classes, data=_data(classes))
    _check_members(case)
    _check_order(case)
    _check_random_choices(case)
    _check_processes(case)
    if options.needs_predictions:
        _check_end(case)
    check_merger(options.merger(classes), classes)


@frozen(kw_only=True, eq=False)
class _Assignment:
    """What a member trains on, and what it may depend on besides seed and ids."""

    origin: str  #: the call that returned it, for messages
    weights: SampleWeights
    known: tuple[bytes, ...]  #: (N,) label, logits and previous weight of each example


@frozen(kw_only=True, eq=False)
class _Case:
    """A strategy and the examples it is checked on; every call goes to a newly built strategy."""

    options: EnsembleOptions
    classes: int
    data: TrainingData

    def first(self, index: int) -> SampleWeights:
        """What member `index` trains on first, which must be valid."""
        origin = f"first({index}, data)"
        weights = _returned(origin, lambda: self.options.build(self.classes).first(index, self.data))
        _check_valid(weights, SampleWeights, origin)
        return weights

    def update(self, index: int, weights: SampleWeights, logits: Floats, member: str) -> MemberResult:
        """The result of a member, which must be valid; the arguments must be left unchanged."""
        origin = f"update({index}, ...) of {member}"
        argument = evolve(weights, weights=weights.weights.copy())
        rows = logits.copy() if self.options.needs_predictions else None
        result = _returned(origin, lambda: self.options.build(self.classes).update(index, argument, rows, self.data))
        require(bool((argument.weights == weights.weights).all()), f"{origin} changes the weights it was given")
        require(rows is None or bool((rows == logits).all()), f"{origin} changes the logits")
        _check_valid(result, MemberResult, origin)
        return result

    def logits(self, member: str) -> Floats:
        """The logits (N, C) of a kind of member."""
        return _members(self.data, self.classes)[member]

    def assignments(self, member: str) -> list[_Assignment]:
        """What the first members train on if each of them is of that kind."""
        if not self.options.sequential:
            return [
                _Assignment(origin=f"first({index}, data)", weights=self.first(index), known=self._known(None, None))
                for index in range(_MEMBERS)
            ]
        logits, weights = self.logits(member), self.first(0)
        assignments = [_Assignment(origin="first(0, data)", weights=weights, known=self._known(None, None))]
        for index in range(_MEMBERS - 1):
            result = self.update(index, weights, logits, member)
            if result.next is None:
                break
            known = self._known(logits, weights)
            weights = result.next
            assignments.append(_Assignment(origin=f"update({index}, ...) of {member}", weights=weights, known=known))
        return assignments

    def _known(self, logits: Floats | None, previous: SampleWeights | None) -> tuple[bytes, ...]:
        columns = [self.data.labels.astype(np.float64)[:, None]]
        if logits is not None and self.options.needs_predictions:
            columns.append(logits)
        if previous is not None:
            columns.append(previous.weights[:, None])
        return tuple(row.tobytes() for row in np.hstack(columns))

    def with_seed(self, seed: int) -> _Case:
        """The same with another seed."""
        return evolve(self, data=TrainingData(ids=self.data.ids, labels=self.data.labels, seed=seed))

    def in_order(self, order: NDArray[np.int64]) -> _Case:
        """The same with its examples in another order."""
        ids = tuple(self.data.ids[position] for position in order)
        return evolve(self, data=TrainingData(ids=ids, labels=self.data.labels[order], seed=self.data.seed))


def _returned(origin: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(f"{origin} raises {type(error).__name__}: {error}") from error


def _check_members(case: _Case) -> None:
    """The results of all kinds of members."""
    first = case.first(0)
    _check_same_weights(first, case.first(0), "first(0, data) returns other weights when it is called again" + _ADVICE)
    _check_cost(first, "first(0, data)")
    for member in _members(case.data, case.classes):
        logits = case.logits(member)
        result = case.update(0, first, logits, member)
        again = case.update(0, first, logits, member)
        _check_same_result(result, again, f"update of {member} returns another result when called again{_ADVICE}")
        if result.next is None:
            continue
        _check_cost(result.next, f"update(0, ...) of {member}")
        what = "is not sequential, and update returns a `next` that no member will train on; set sequential = True"
        require(case.options.sequential or _equal_weights(result.next, case.first(1)), what)
    _returned("a strategy that was called before", lambda: _check_state(case))


def _check_state(case: _Case) -> None:
    """A strategy keeps nothing from one call to the next, since each member builds it again."""
    strategy = case.options.build(case.classes)
    what = "a strategy that was called before returns something else; each member builds it again"
    assignments = case.assignments(_GOOD)
    if not case.options.sequential:
        for index, assignment in reversed([*enumerate(assignments)]):
            _check_same_weights(strategy.first(index, case.data), assignment.weights, what)
        return
    logits = case.logits(_GOOD) if case.options.needs_predictions else None
    for _ in range(2):
        _check_same_weights(strategy.first(0, case.data), assignments[0].weights, what)
        for index, (assignment, after) in enumerate(itertools.pairwise(assignments)):
            weights = strategy.update(index, assignment.weights, logits, case.data).next
            require(weights is not None, what)
            if weights is not None:
                _check_same_weights(weights, after.weights, what)


def _check_order(case: _Case) -> None:
    """The weight of an example depends on the example, not on its position."""
    order = np.random.default_rng(1).permutation(_EXAMPLES)
    reordered = case.in_order(order)
    for member in _members(case.data, case.classes):
        for before, after in zip(case.assignments(member), reordered.assignments(member), strict=False):
            same = np.allclose(before.weights.weights[order], after.weights.weights, rtol=_TOLERANCE, atol=1e-12)
            require(bool(same), f"{before.origin}: weights depend on the positions of the examples{_ADVICE}")
        first, logits = case.first(0), case.logits(member)
        result = case.update(0, first, logits, member)
        moved = evolve(first, weights=first.weights[order])
        other = reordered.update(0, moved, logits[order], member)
        same = bool(np.isclose(result.weight, other.weight)) and result.kept == other.kept
        require(same, f"update(0, ...) of {member}: the result depends on the order of the examples")


def _check_random_choices(case: _Case) -> None:
    """Random choices differ between seeds and between members."""
    for member in _members(case.data, case.classes):
        of_seeds = [case.with_seed(seed).assignments(member) for seed in _SEEDS]
        random = [index for index, assignment in enumerate(of_seeds[0]) if _is_random(assignment)]
        for index in random:
            assignments = [of_seed[index] for of_seed in of_seeds if index < len(of_seed)]
            same = all(_equal_weights(assignment.weights, assignments[0].weights) for assignment in assignments)
            what = "draws the same examples for every seed of a study, so that intervals over seeds are too narrow"
            require(not same, f"{assignments[0].origin}: {what}{_ADVICE}")
        of_members = [of_seeds[0][index].weights for index in random]
        same = len(of_members) == _MEMBERS and all(_equal_weights(weights, of_members[0]) for weights in of_members)
        require(not same, f"every member draws the same examples{_ADVICE}")


class _RehashedId(str):
    """An id with another hash, as the same text has in another process."""

    def __hash__(self) -> int:
        return ~super().__hash__()


def _check_processes(case: _Case) -> None:
    """Nothing depends on `hash` or on the order of a set, which differ between processes."""
    ids = tuple(map(_RehashedId, case.data.ids))
    other = evolve(case, data=TrainingData(ids=ids, labels=case.data.labels, seed=case.data.seed))
    what = "depends on hash(id) or on the order of a set, which differ between processes"
    for assignment, again in zip(case.assignments(_GOOD), other.assignments(_GOOD), strict=False):
        _check_same_weights(assignment.weights, again.weights, f"{assignment.origin} {what}{_ADVICE}")


def _is_random(assignment: _Assignment) -> bool:
    """Whether examples that a strategy cannot distinguish have different weights."""
    weights: dict[bytes, float] = {}
    pairs = zip(assignment.known, assignment.weights.weights.tolist(), strict=True)
    return any(abs(weights.setdefault(known, weight) - weight) > _TOLERANCE for known, weight in pairs)


def _check_cost(weights: SampleWeights, origin: str) -> None:
    """No example is computed for nothing."""
    if weights.sampling is not Sampling.REWEIGHT:
        return
    low = weights.weights < _NEGLIGIBLE / len(weights.weights)
    none, few = int((weights.weights == 0).sum()), int(low.sum())
    advice = "and are computed all the same by REWEIGHT; SUBSET leaves them out, RESAMPLE draws by weight"
    require(none == 0, f"{origin}: {none} of {len(low)} examples have weight 0 {advice}")
    require(few <= 0.1 * len(low), f"{origin}: {few} of {len(low)} examples have a negligible weight {advice}")


def _check_valid(value: SampleWeights | MemberResult, cls: type[SampleWeights | MemberResult], origin: str) -> None:
    require(isinstance(value, cls), f"{origin} returns {type(value).__name__}, not {cls.__name__}")
    problem = value.problem(_EXAMPLES)
    require(not problem, f"{origin} returns {cls.__name__} with {problem}")


def _check_same_result(result: MemberResult, again: MemberResult, what: str) -> None:
    require((result.weight, result.kept, result.error) == (again.weight, again.kept, again.error), what)
    require((result.next is None) == (again.next is None), what)
    if result.next is not None and again.next is not None:
        _check_same_weights(result.next, again.next, what)


def _check_same_weights(weights: SampleWeights, again: SampleWeights, what: str) -> None:
    same = (weights.sampling, weights.retries, weights.draws) == (again.sampling, again.retries, again.draws)
    require(same and bool((weights.weights == again.weights).all()), what)


def _equal_weights(one: SampleWeights, other: SampleWeights) -> bool:
    return bool(np.allclose(one.weights, other.weights, rtol=_TOLERANCE, atol=1e-12))


def _check_end(case: _Case) -> None:
    """Useless members are not tried for ever."""
    useless = case.logits("a useless member")
    weights: SampleWeights | None = case.first(0)
    for index in range(100):
        if weights is None:
            return
        weights = case.update(index, weights, useless, "a useless member").next
    require(False, "a hundred useless members in a row do not end the ensemble")


def _data(classes: int) -> TrainingData:
    """Examples of which several have the same label, with ids in another order."""
    ids = tuple(f"example-{17 * position % _EXAMPLES}" for position in range(_EXAMPLES))
    labels: NDArray[Any] = np.arange(_EXAMPLES) % classes
    if classes == 1:
        labels = (np.arange(_EXAMPLES) % 10 / 2).astype(np.float32)
    return TrainingData(ids=ids, labels=labels, seed=0)


def _members(data: TrainingData, classes: int) -> dict[str, Floats]:
    """Logits of all kinds of members; an example's id decides whether a member misses it."""
    number = np.array([int(example.removeprefix("example-")) for example in data.ids])
    wrong = {
        "a perfect member": number < 0,
        _GOOD: number % 9 == 0,
        "a member with one error": number == 0,
        "a useless member": number >= 0,
    }
    return {name: _logits(data.labels, classes, wrong=missed) for name, missed in wrong.items()}


def _logits(labels: NDArray[Any], classes: int, *, wrong: NDArray[np.bool_]) -> Floats:
    if classes == 1:
        values: Floats = labels.astype(np.float64) + wrong * (1 + 0.05 * labels)
        return values[:, None]
    predictions = np.where(wrong, (labels + 1) % classes, labels)
    logits: Floats = 3 * np.eye(classes)[predictions]
    return logits


_MERGED_MEMBERS, _MERGED_EXAMPLES = 5, 30


def check_merger(options: MergerOptions, classes: int = 2) -> None:
    """Check a merger for a task of `classes` classes, 1 for regression; one line in a plugin's tests.

    Scores are finite and (N, C); the decision of a single member is its own; neither the order of the members, nor the
    scale of their weights, nor which examples are merged together changes a decision; the arguments stay unchanged.

    Raises:
        ContractError: an AssertionError that says what does not hold.
    """
    generator = np.random.default_rng(0)
    merger = options.build(classes)
    logits = 2 * generator.standard_normal((_MERGED_MEMBERS, _MERGED_EXAMPLES, classes))
    weights = generator.uniform(0.5, 2, _MERGED_MEMBERS)
    before = logits.copy(), weights.copy()
    scores = merger.merge(logits, weights)
    require(bool((logits == before[0]).all() and (weights == before[1]).all()), "merging changes its arguments")
    require(
        scores.shape == (_MERGED_EXAMPLES, classes),
        f"scores have shape {scores.shape}, not {(_MERGED_EXAMPLES, classes)}",
    )
    require(bool(np.isfinite(scores).all()), "scores are not finite")
    decisions = _decide(scores)
    order = generator.permutation(_MERGED_MEMBERS)
    _same(decisions, merger.merge(logits[order], weights[order]), "decisions depend on the order of the members")
    _same(decisions, merger.merge(logits, 7 * weights), "decisions depend on the scale of the weights")
    _same(decisions, _in_parts(merger, logits, weights), "decisions depend on which examples are merged together")
    for member in range(_MERGED_MEMBERS):
        alone = merger.merge(logits[member : member + 1], weights[member : member + 1])
        _same(_decide(logits[member]), alone, "merging a single member changes its decisions")


def _in_parts(merger: Merger, logits: Floats, weights: Floats) -> Floats:
    return np.concatenate([merger.merge(logits[:, part], weights) for part in (slice(0, 7), slice(7, None))])


def _decide(scores: Floats) -> Floats:
    return scores.argmax(axis=1).astype(np.float64) if scores.shape[1] > 1 else scores[:, 0]


def _same(decisions: Floats, scores: Floats, what: str) -> None:
    require(bool(np.allclose(decisions, _decide(scores), atol=1e-9)), what)
