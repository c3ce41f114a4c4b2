"""What every ensemble must hold, whatever it does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bebertlab.interfaces.ensemble import EnsembleOptions, Floats, Round, Verdict
from bebertlab.testing.law import hold
from bebertlab.testing.merger import check_merger

_EXAMPLES = 40


def check_ensemble(options: EnsembleOptions, classes: int = 2) -> None:
    """Check an ensemble for a task of `classes` classes, 1 for regression; one line in a plugin's tests.

    Weights of examples are shares (none negative, sum 1) after good, bad, perfect and useless members alike; they go
    with their example when the examples are put in another order; a discarded member has no say; judging is a
    function of its arguments and leaves them alone; the ensemble's own merger keeps the contract of mergers.

    Raises:
        LawError: an AssertionError that says what does not hold.
    """
    strategy = options.build(classes)
    labels = _labels(classes)
    members = _members(labels, classes)
    first = strategy.first(_EXAMPLES)
    _check_round(first, "the first round")
    for name, logits in members.items():
        given = logits if options.needs_predictions else None
        start = first.weights.copy()
        verdict = strategy.judge(0, first, given, labels)
        _check_verdict(verdict, name)
        _check_same(verdict, strategy.judge(0, first, given, labels), f"judging {name} twice gives two verdicts")
        hold(bool((first.weights == start).all()), f"judging {name} changes the round")
        if not options.sequential and verdict.next is not None:
            hold(bool((verdict.next.weights == first.weights).all()), "members that are not sequential share a round")
    if options.needs_predictions:
        _check_order(options, classes, labels, members)
        _check_ends(options, classes, labels)
    check_merger(options.merger(classes), classes)


def _check_round(round: Round, name: str) -> None:
    weights = round.weights
    hold(weights.shape == (_EXAMPLES,) and weights.dtype == np.float64, f"{name} has no float64 weight per example")
    hold(bool(np.isfinite(weights).all() and (weights >= 0).all()), f"{name} has weights that are no shares")
    hold(abs(weights.sum() - 1) < 1e-9, f"the weights of {name} add up to {weights.sum()}, not 1")
    hold(round.retries >= 0, f"{name} has a negative number of retries")


def _check_verdict(verdict: Verdict, name: str) -> None:
    hold(bool(np.isfinite(verdict.weight)) and verdict.weight >= 0, f"{name} weighs {verdict.weight}")
    hold(verdict.kept or verdict.weight == 0, f"{name} is discarded and still weighs {verdict.weight}")
    if verdict.next is not None:
        _check_round(verdict.next, f"the round after {name}")


def _check_same(verdict: Verdict, again: Verdict, what: str) -> None:
    hold((verdict.weight, verdict.kept, verdict.error) == (again.weight, again.kept, again.error), what)
    hold((verdict.next is None) == (again.next is None), what)
    if verdict.next is not None and again.next is not None:
        hold(bool((verdict.next.weights == again.next.weights).all()), what)


def _check_order(options: EnsembleOptions, classes: int, labels: NDArray[Any], members: dict[str, Floats]) -> None:
    """The weight of an example depends on the example, not on its place."""
    order = np.random.default_rng(1).permutation(_EXAMPLES)
    strategy = options.build(classes)
    first = strategy.first(_EXAMPLES)
    for name, logits in members.items():
        verdict = strategy.judge(0, first, logits, labels)
        turned = strategy.judge(0, first, logits[order], labels[order])
        if verdict.next is not None and turned.next is not None:
            same = np.allclose(verdict.next.weights[order], turned.next.weights, atol=1e-12)
            hold(bool(same), f"after {name}, weights do not go with their examples")


def _check_ends(options: EnsembleOptions, classes: int, labels: NDArray[Any]) -> None:
    """Members that are of no use again and again are not tried for ever."""
    strategy = options.build(classes)
    useless = _logits(labels, classes, wrong=np.arange(_EXAMPLES))
    following: Round | None = strategy.first(_EXAMPLES)
    for index in range(100):
        if following is None:
            return
        following = strategy.judge(index, following, useless, labels).next
    hold(False, "a hundred useless members in a row do not end the ensemble")


def _labels(classes: int) -> NDArray[Any]:
    if classes == 1:
        return np.linspace(0, 5, _EXAMPLES).astype(np.float32)
    return np.arange(_EXAMPLES) % classes


def _members(labels: NDArray[Any], classes: int) -> dict[str, Floats]:
    wrong = {
        "a perfect member": np.arange(0),
        "a good member": np.arange(0, _EXAMPLES, 9),
        "a member with one error": np.arange(1),
        "a useless member": np.arange(_EXAMPLES),
    }
    return {name: _logits(labels, classes, wrong=places) for name, places in wrong.items()}


def _logits(labels: NDArray[Any], classes: int, *, wrong: NDArray[Any]) -> Floats:
    if classes == 1:
        values = labels.astype(np.float64)[:, None].copy()
        values[wrong, 0] += 1 + 0.01 * wrong
        return values
    predictions = labels.copy()
    predictions[wrong] = (labels[wrong] + 1) % classes
    logits: Floats = 3 * np.eye(classes)[predictions]
    return logits
