"""What every rule that merges members must hold."""

from __future__ import annotations

import numpy as np

from bebertlab.interfaces.ensemble import Floats, Merger, MergerOptions
from bebertlab.testing.law import hold

_MEMBERS, _EXAMPLES = 5, 30


def check_merger(options: MergerOptions, classes: int = 2) -> None:
    """Check a merger for a task of `classes` classes, 1 for regression; one line in a plugin's tests.

    Scores are finite and (N, C); a member alone decides as it does alone; neither the order of the members, nor the
    scale of their weights, nor which examples are merged together changes a decision; the arguments are left alone.

    Raises:
        LawError: an AssertionError that says what does not hold.
    """
    generator = np.random.default_rng(0)
    merger = options.build(classes)
    logits = 2 * generator.standard_normal((_MEMBERS, _EXAMPLES, classes))
    weights = generator.uniform(0.5, 2, _MEMBERS)
    before = logits.copy(), weights.copy()
    scores = merger.merge(logits, weights)
    hold(bool((logits == before[0]).all() and (weights == before[1]).all()), "merging changes its arguments")
    hold(scores.shape == (_EXAMPLES, classes), f"scores have shape {scores.shape}, not {(_EXAMPLES, classes)}")
    hold(bool(np.isfinite(scores).all()), "scores are not finite")
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
    hold(bool(np.allclose(decisions, _decide(scores), atol=1e-9)), what)
