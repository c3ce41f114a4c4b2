"""What every ensemble must hold, whatever it does."""

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
_EQUAL = 1e-9  # rounding aside
_LOW = 1e-6  # of an equal share
_DRAW = "; draw with data.uniform(name, index), which gives each example a number of its own by seed and id"


def check_ensemble(options: EnsembleOptions, classes: int = 2) -> None:
    """Check an ensemble for a task of `classes` classes, 1 for regression; one line in a plugin's tests.

    Weights of examples are shares (none negative, sum 1) after good, bad, perfect and useless members alike; they go
    with their example when the examples are put in another order, in the first round and in later ones; what is drawn
    is another thing with each seed and each member, and the same in every process; no example is computed for a weight
    of 0; a discarded member has no say; a strategy's answers are functions of their arguments, which it leaves alone;
    the ensemble's own merger keeps the contract of mergers.

    Raises:
        ContractError: an AssertionError that says what does not hold, with the name of the method.
    """
    problem = signature_problem(options.build(classes))
    require(not problem, problem)
    tried = _Trial(options=options, classes=classes, data=_data(classes))
    _check_members(tried)
    _check_order(tried)
    _check_draws(tried)
    _check_processes(tried)
    if options.needs_predictions:
        _check_end(tried)
    check_merger(options.merger(classes), classes)


@frozen(kw_only=True, eq=False)
class _Asked:
    """A round, and what it may be a function of beside seed and ids."""

    name: str
    round: SampleWeights
    known: tuple[bytes, ...]  #: (N,) label, logits and the weight before, of each example


@frozen(kw_only=True, eq=False)
class _Trial:
    """A strategy and the examples that it is tried on."""

    options: EnsembleOptions
    classes: int
    data: TrainingData

    def first(self, index: int) -> SampleWeights:
        """What member `index` starts with, asked of a strategy that was asked nothing before."""
        name = f"first({index}, data)"
        found = _returned(name, lambda: self.options.build(self.classes).first(index, self.data))
        _check_round(found, name)
        return found

    def update(self, index: int, round: SampleWeights, logits: Floats, member: str) -> MemberResult:
        """The verdict on a member, asked of a strategy that was asked nothing before."""
        name = f"update({index}, ...) of {member}"
        given = evolve(round, weights=round.weights.copy())
        rows = logits.copy() if self.options.needs_predictions else None
        verdict = _returned(name, lambda: self.options.build(self.classes).update(index, given, rows, self.data))
        require(bool((given.weights == round.weights).all()), f"{name} changes the round")
        require(rows is None or bool((rows == logits).all()), f"{name} changes the logits")
        _check_verdict(verdict, name)
        return verdict

    def logits(self, member: str) -> Floats:
        """The logits of a member of some kind, in the order of the examples."""
        return _members(self.data, self.classes)[member]

    def rounds(self, member: str) -> list[_Asked]:
        """The rounds of the first members, where each of them is of that kind."""
        if not self.options.sequential:
            firsts = (self.first(index) for index in range(_MEMBERS))
            return [
                _Asked(name=f"first({index}, data)", round=one, known=self._known(None, None))
                for index, one in enumerate(firsts)
            ]
        logits, following = self.logits(member), self.first(0)
        found = [_Asked(name="first(0, data)", round=following, known=self._known(None, None))]
        for index in range(_MEMBERS - 1):
            verdict = self.update(index, following, logits, member)
            if verdict.next is None:
                break
            known = self._known(logits, following)
            found.append(_Asked(name=f"update({index}, ...) of {member}", round=verdict.next, known=known))
            following = verdict.next
        return found

    def _known(self, logits: Floats | None, before: SampleWeights | None) -> tuple[bytes, ...]:
        parts = [self.data.labels.astype(np.float64)[:, None]]
        if logits is not None and self.options.needs_predictions:
            parts.append(logits)
        if before is not None:
            parts.append(before.weights[:, None])
        return tuple(row.tobytes() for row in np.hstack(parts))

    def with_seed(self, seed: int) -> _Trial:
        """The same with another seed."""
        return evolve(self, data=TrainingData(ids=self.data.ids, labels=self.data.labels, seed=seed))

    def in_order(self, order: NDArray[np.int64]) -> _Trial:
        """The same with its examples in another order."""
        ids = tuple(self.data.ids[place] for place in order)
        return evolve(self, data=TrainingData(ids=ids, labels=self.data.labels[order], seed=self.data.seed))


def _returned(name: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(f"{name} raises {type(error).__name__}: {error}") from error


def _check_members(tried: _Trial) -> None:
    """What a strategy says of members of all kinds."""
    first = tried.first(0)
    _check_same_round(first, tried.first(0), "first(0, data) asked twice gives two rounds" + _DRAW)
    _check_cost(first, "first(0, data)")
    for member in _members(tried.data, tried.classes):
        logits = tried.logits(member)
        verdict = tried.update(0, first, logits, member)
        again = tried.update(0, first, logits, member)
        _check_same(verdict, again, f"judging {member} twice gives two verdicts" + _DRAW)
        if verdict.next is None:
            continue
        _check_cost(verdict.next, f"update(0, ...) of {member}")
        what = "is not sequential, and update returns a next round that no member will train on; set sequential = True"
        require(tried.options.sequential or _same_weights(verdict.next, tried.first(1)), what)
    _returned("a strategy that was asked before", lambda: _check_state(tried))


def _check_state(tried: _Trial) -> None:
    """A strategy keeps nothing from one question to the next: each member asks one of its own."""
    kept = tried.options.build(tried.classes)
    what = "a strategy that was asked before gives another answer; each member asks one of its own"
    asked = tried.rounds(_GOOD)
    if not tried.options.sequential:
        for index, one in reversed([*enumerate(asked)]):
            _check_same_round(kept.first(index, tried.data), one.round, what)
        return
    logits = tried.logits(_GOOD) if tried.options.needs_predictions else None
    for _ in range(2):
        _check_same_round(kept.first(0, tried.data), asked[0].round, what)
        for index, (one, after) in enumerate(itertools.pairwise(asked)):
            found = kept.update(index, one.round, logits, tried.data).next
            require(found is not None, what)
            if found is not None:
                _check_same_round(found, after.round, what)


def _check_order(tried: _Trial) -> None:
    """The weight of an example depends on the example, not on its place."""
    order = np.random.default_rng(1).permutation(_EXAMPLES)
    turned = tried.in_order(order)
    for member in _members(tried.data, tried.classes):
        for one, other in zip(tried.rounds(member), turned.rounds(member), strict=False):
            same = np.allclose(one.round.weights[order], other.round.weights, rtol=_EQUAL, atol=1e-12)
            require(bool(same), f"{one.name}: weights do not go with their examples but with their places{_DRAW}")
        first, logits = tried.first(0), tried.logits(member)
        verdict = tried.update(0, first, logits, member)
        moved = evolve(first, weights=first.weights[order])
        found = turned.update(0, moved, logits[order], member)
        alike = bool(np.isclose(verdict.weight, found.weight)) and verdict.kept == found.kept
        require(alike, f"update(0, ...) of {member}: the verdict depends on the order of the examples")


def _check_draws(tried: _Trial) -> None:
    """What is drawn is another thing with another seed, and for another member."""
    for member in _members(tried.data, tried.classes):
        of_seeds = [tried.with_seed(seed).rounds(member) for seed in _SEEDS]
        drawn = [place for place, asked in enumerate(of_seeds[0]) if _is_drawn(asked)]
        for place in drawn:
            asked = [rounds[place] for rounds in of_seeds if place < len(rounds)]
            same = all(_same_weights(one.round, asked[0].round) for one in asked)
            what = "draws the same for every seed of a study, so that intervals over seeds are too narrow"
            require(not same, f"{asked[0].name}: {what}{_DRAW}")
        rounds = [of_seeds[0][place].round for place in drawn]
        same = len(rounds) == _MEMBERS and all(_same_weights(one, rounds[0]) for one in rounds)
        require(not same, f"every member draws the same examples{_DRAW}")


class _RehashedId(str):
    """An id with the hash that its text may have in another process."""

    def __hash__(self) -> int:
        return ~super().__hash__()


def _check_processes(tried: _Trial) -> None:
    """Nothing goes by `hash` or by the order of a set, which are others in each process."""
    ids = tuple(map(_RehashedId, tried.data.ids))
    other = evolve(tried, data=TrainingData(ids=ids, labels=tried.data.labels, seed=tried.data.seed))
    what = "goes by hash(id) or by the order of a set, which are others in each process"
    for one, again in zip(tried.rounds(_GOOD), other.rounds(_GOOD), strict=False):
        _check_same_round(one.round, again.round, f"{one.name} {what}{_DRAW}")


def _is_drawn(asked: _Asked) -> bool:
    """Whether examples of which a strategy knows the same have other weights."""
    weights: dict[bytes, float] = {}
    pairs = zip(asked.known, asked.round.weights.tolist(), strict=True)
    return any(abs(weights.setdefault(known, weight) - weight) > _EQUAL for known, weight in pairs)


def _check_cost(round: SampleWeights, name: str) -> None:
    """No example is computed for nothing."""
    if round.sampling is not Sampling.REWEIGHT:
        return
    low = round.weights < _LOW / len(round.weights)
    none, few = int((round.weights == 0).sum()), int(low.sum())
    advice = "computed all the same by REWEIGHT; SUBSET leaves them out, RESAMPLE draws by weight"
    require(none == 0, f"{name}: {none} of {len(low)} examples have weight 0, {advice}")
    require(few <= 0.1 * len(low), f"{name}: {few} of {len(low)} examples have next to no weight, {advice}")


def _check_round(round: SampleWeights, name: str) -> None:
    require(isinstance(round, SampleWeights), f"{name} returns {type(round).__name__}, not a Round")
    problem = round.problem(_EXAMPLES)
    require(not problem, f"{name} returns a round with {problem}")


def _check_verdict(verdict: MemberResult, name: str) -> None:
    require(isinstance(verdict, MemberResult), f"{name} returns {type(verdict).__name__}, not a Verdict")
    problem = verdict.problem(_EXAMPLES)
    require(not problem, f"{name} returns a verdict with {problem}")


def _check_same(verdict: MemberResult, again: MemberResult, what: str) -> None:
    require((verdict.weight, verdict.kept, verdict.error) == (again.weight, again.kept, again.error), what)
    require((verdict.next is None) == (again.next is None), what)
    if verdict.next is not None and again.next is not None:
        _check_same_round(verdict.next, again.next, what)


def _check_same_round(round: SampleWeights, again: SampleWeights, what: str) -> None:
    alike = (round.sampling, round.retries, round.draws) == (again.sampling, again.retries, again.draws)
    require(alike and bool((round.weights == again.weights).all()), what)


def _same_weights(one: SampleWeights, other: SampleWeights) -> bool:
    return bool(np.allclose(one.weights, other.weights, rtol=_EQUAL, atol=1e-12))


def _check_end(tried: _Trial) -> None:
    """Members that are of no use again and again are not tried for ever."""
    useless = tried.logits("a useless member")
    following: SampleWeights | None = tried.first(0)
    for index in range(100):
        if following is None:
            return
        following = tried.update(index, following, useless, "a useless member").next
    require(False, "a hundred useless members in a row do not end the ensemble")


def _data(classes: int) -> TrainingData:
    """Examples of which several have the same label; the order of their ids is not theirs."""
    ids = tuple(f"example-{17 * place % _EXAMPLES}" for place in range(_EXAMPLES))
    labels: NDArray[Any] = np.arange(_EXAMPLES) % classes
    if classes == 1:
        labels = (np.arange(_EXAMPLES) % 10 / 2).astype(np.float32)
    return TrainingData(ids=ids, labels=labels, seed=0)


def _members(data: TrainingData, classes: int) -> dict[str, Floats]:
    """Logits of members of all kinds; which examples one misses goes by their ids."""
    number = np.array([int(one.removeprefix("example-")) for one in data.ids])
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


_MEMBERS, _EXAMPLES = 5, 30


def check_merger(options: MergerOptions, classes: int = 2) -> None:
    """Check a merger for a task of `classes` classes, 1 for regression; one line in a plugin's tests.

    Scores are finite and (N, C); a member alone decides as it does alone; neither the order of the members, nor the
    scale of their weights, nor which examples are merged together changes a decision; the arguments are left alone.

    Raises:
        ContractError: an AssertionError that says what does not hold.
    """
    generator = np.random.default_rng(0)
    merger = options.build(classes)
    logits = 2 * generator.standard_normal((_MEMBERS, _EXAMPLES, classes))
    weights = generator.uniform(0.5, 2, _MEMBERS)
    before = logits.copy(), weights.copy()
    scores = merger.merge(logits, weights)
    require(bool((logits == before[0]).all() and (weights == before[1]).all()), "merging changes its arguments")
    require(scores.shape == (_EXAMPLES, classes), f"scores have shape {scores.shape}, not {(_EXAMPLES, classes)}")
    require(bool(np.isfinite(scores).all()), "scores are not finite")
    decisions = _decide(scores)
    order = generator.permutation(_MEMBERS)
    _same(decisions, merger.merge(logits[order], weights[order]), "the order of the members counts")
    _same(decisions, merger.merge(logits, 7 * weights), "the scale of the weights counts")
    _same(decisions, _in_parts(merger, logits, weights), "which examples are merged together counts")
    for member in range(_MEMBERS):
        alone = merger.merge(logits[member : member + 1], weights[member : member + 1])
        _same(_decide(logits[member]), alone, "a member alone decides otherwise than it does alone")


def _in_parts(merger: Merger, logits: Floats, weights: Floats) -> Floats:
    return np.concatenate([merger.merge(logits[:, part], weights) for part in (slice(0, 7), slice(7, None))])


def _decide(scores: Floats) -> Floats:
    return scores.argmax(axis=1).astype(np.float64) if scores.shape[1] > 1 else scores[:, 0]


def _same(decisions: Floats, scores: Floats, what: str) -> None:
    require(bool(np.allclose(decisions, _decide(scores), atol=1e-9)), what)
