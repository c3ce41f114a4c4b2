"""Cascades: the members of an ensemble answer in order, the next one only where the answer so far is uncertain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.data.examples import Examples
from bebertlab.errors import UserError
from bebertlab.inference.predict import predict
from bebertlab.inference.prepare import InferenceModel
from bebertlab.interfaces.ensemble import Floats, Merger, MergerOptions
from bebertlab.interfaces.task import Scores

Positions = NDArray[np.int64]
#: the logits (n, C) of a member for the sentences at these positions (n,)
MemberLogits = Callable[[Positions], Floats]

#: a margin above that of any answer, which is at most 1: with it every sentence reaches all members
ALL_MEMBERS = math.inf
_DECIMALS = 4  #: of a margin that is chosen, so that what is shown is what is used
_HIGHEST = 1 + 10.0**-_DECIMALS  #: finite, as JSON has no infinity
_CANDIDATES = 256
_ROUNDING = 1e-9  #: of scores in percent


@frozen(kw_only=True, eq=False)
class Vote:
    """How the members of an ensemble are merged: all of them, or the first ones only."""

    merger: Merger
    weights: Floats  #: (M,)
    probabilities: bool  #: scores are probabilities, not logits

    @classmethod
    def of(cls, rule: MergerOptions, weights: Sequence[float], classes: int) -> Vote:
        """The vote by a rule.

        Raises:
            UserError: the rule does not support that number of classes.
        """
        return cls(merger=rule.build(classes), weights=np.array(weights), probabilities=rule.probabilities)

    def merge(self, logits: Floats) -> Floats:
        """The scores (N, C) of the logits (K, N, C) of the first K members, in float64."""
        return self.merger.merge(logits.astype(np.float64), self.weights[: len(logits)])

    def margins(self, scores: Floats) -> Floats:
        """The difference (N,) of the two largest probabilities of scores (N, C)."""
        powers = scores if self.probabilities else np.exp(scores - scores.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        second, first = np.moveaxis(np.partition(shares, -2, axis=1)[:, -2:], 1, 0)
        difference: Floats = first - second
        return difference


@frozen(kw_only=True, eq=False)
class EnsembleAnswers:
    """The answers of an ensemble, or of a single model, to N sentences."""

    scores: Scores  #: (N, C): merged scores of the members that were asked, or logits of a single model
    members: NDArray[np.int64]  #: (N,), how many were asked


def check_cascade(rule: MergerOptions, classes: int) -> None:
    """Check that the margin of the first member shows where the next one is needed.

    Raises:
        UserError: the task is a regression, or the rule counts votes, so that a single member is always certain.
    """
    if classes == 1:
        raise UserError("a cascade needs classes, and the model is a regression")
    vote = Vote.of(rule, [1.0], classes)
    logits = np.zeros((1, 2, classes))
    logits[0, :, 0] = 0.5, 5.0  # an uncertain sentence and a certain one
    uncertain, certain = vote.margins(vote.merge(logits))
    if not certain - uncertain > 10.0**-_DECIMALS:
        raise UserError(
            f"a cascade needs probabilities, and the rule '{rule.kind}' counts votes; merge the members by"
            " weighted_probability, mean_probability or weighted_mean"
        )


def cascade_margin(
    rule: MergerOptions | None, classes: int, cascade: bool | float, chosen: float | None
) -> float | None:
    """The margin that a user asks for; None: all members answer.

    Args:
        rule: of the ensemble; None: a single model
        classes: of the task, 1 for regression
        cascade: the margin, or whether `chosen` is used
        chosen: a margin that was chosen for the ensemble, if there is one

    Raises:
        UserError: the model cannot have a cascade, none was chosen, or the margin is no number of at least 0.
    """
    if cascade is False:
        return None
    if rule is None:
        raise UserError("a cascade needs an ensemble, and this is a single model")
    check_cascade(rule, classes)
    margin = chosen if cascade is True else float(cascade)
    if margin is None:
        raise UserError(
            "no margin of a cascade was chosen; pack the ensemble by `bebertlab model pack --cascade`, or give a margin"
        )
    if not margin >= 0:
        raise UserError(f"the margin of a cascade must be at least 0: {margin}")
    return margin


def ask_members(
    members: Sequence[MemberLogits], vote: Vote, sentences: int, margin: float = ALL_MEMBERS
) -> EnsembleAnswers:
    """Ask the members in order; the next one for the sentences whose margin by those before is below a margin.

    Args:
        members: called with all positions that are left at once, at most once each
        vote: weights of members and how they are merged
        sentences: their number N
        margin: `ALL_MEMBERS`, or a difference of probabilities
    """
    remaining = np.arange(sentences, dtype=np.int64)
    answered, scores, counts = [], [], []
    logits: list[Floats] = []
    for count, member in enumerate(members, start=1):
        logits.append(member(remaining))
        last = count == len(members)
        if not last and not _decides(vote, count, margin):
            continue
        merged = vote.merge(np.stack(logits))
        final = np.ones(len(remaining), dtype=np.bool_) if last else vote.margins(merged) >= margin
        answered.append(remaining[final])
        scores.append(merged[final])
        counts.append(np.full(len(answered[-1]), count))
        remaining, logits = remaining[~final], [values[~final] for values in logits]
        if not len(remaining):
            break
    order = np.argsort(np.concatenate(answered))
    return EnsembleAnswers(scores=np.concatenate(scores)[order], members=np.concatenate(counts)[order])


def _decides(vote: Vote, count: int, margin: float) -> bool:
    """Whether the first members can be enough: they have a weight, and no answer is asked of all members."""
    return margin != ALL_MEMBERS and bool(vote.weights[:count].any())


def member_logits(member: InferenceModel, examples: Examples, device: str) -> MemberLogits:
    """A member that computes when it is asked, in batches of only those examples that it is asked for."""

    def logits(positions: Positions) -> Floats:
        values: Floats = predict(member, examples.take(positions), device=device).numpy().astype(np.float64)
        return values

    return logits


def ask_stored(logits: Floats, vote: Vote, margin: float = ALL_MEMBERS) -> EnsembleAnswers:
    """What `ask_members` gives for the logits (M, N, C) of all members."""
    members = [member.__getitem__ for member in logits]
    return ask_members(members, vote, logits.shape[1], margin)


@frozen(kw_only=True)
class MarginChoice:
    """A margin, and what a cascade with it does on the sentences that it was chosen on."""

    margin: float
    score: float  #: of the cascade, in percent
    full_score: float  #: of all members
    shares: tuple[float, ...]  #: of the sentences that each member is asked for; 1 for the first


def choose_margin(logits: Floats, vote: Vote, score: Callable[[Scores], float], tolerance: float) -> MarginChoice:
    """The margin with the fewest members a sentence whose score is at least that of all members minus a tolerance.

    Args:
        logits: (M, N, C) of all members on held-out sentences, of neither training nor validation
        vote: weights of members and how they are merged
        score: the score of scores (N, C), in percent
        tolerance: in points of the score
    """
    full_score = score(vote.merge(logits))
    for margin in _candidates(logits, vote):
        answers = ask_stored(logits, vote, margin)
        reached = score(answers.scores)
        if reached >= full_score - tolerance - _ROUNDING:
            break
    shares = [float((answers.members > member).mean()) for member in range(len(logits))]
    return MarginChoice(margin=margin, score=reached, full_score=full_score, shares=tuple(shares))


def _candidates(logits: Floats, vote: Vote) -> Iterator[float]:
    """Margins in rising order, from one that only the first member is asked for to one that all are."""
    yield 0.0
    counts = [count for count in range(1, len(logits)) if _decides(vote, count, 0.0)]
    margins = [vote.margins(vote.merge(logits[:count])) for count in counts]
    scale = 10**_DECIMALS
    rounded = np.unique(np.floor(np.concatenate([*margins, np.zeros(0)]) * scale) + 1) / scale
    chosen = np.linspace(0, len(rounded) - 1, min(len(rounded), _CANDIDATES)).round().astype(np.int64)
    yield from rounded[chosen].tolist()
    yield _HIGHEST
