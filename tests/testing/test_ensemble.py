from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from bebertlab.interfaces.ensemble import (
    Ensemble,
    EnsembleOptions,
    Floats,
    Merger,
    MergerOptions,
    Round,
    Sampling,
    Verdict,
)
from bebertlab.testing.ensemble import check_ensemble
from bebertlab.testing.law import LawError

Spoil = Callable[[Verdict], Verdict]


class Mean(Merger):
    def merge(self, logits: Floats, weights: Floats) -> Floats:
        merged: Floats = np.einsum("m,mnc->nc", weights / weights.sum(), logits)
        return merged


@frozen(kw_only=True)
class MeanOptions(MergerOptions):
    kind: ClassVar[str] = "mean"

    def build(self, classes: int) -> Merger:
        return Mean()


class Doubling(Ensemble):
    """Doubles the weight of what is missed; ends after a member without a hit."""

    def __init__(self, spoil: Spoil) -> None:
        self.spoil = spoil

    def first(self, examples: int) -> Round:
        return Round(sampling=Sampling.REWEIGHT, weights=np.full(examples, 1 / examples))

    def judge(self, index: int, round: Round, logits: Floats | None, labels: NDArray[Any]) -> Verdict:
        assert logits is not None
        miss = logits.argmax(axis=1) != labels
        weights = round.weights * (1 + miss)
        following = evolve(round, weights=weights / weights.sum())
        useful = not miss.all()
        verdict = Verdict(weight=float(useful), kept=useful, error=0.0, next=following if useful else None)
        return self.spoil(verdict)


@frozen(kw_only=True)
class DoublingOptions(EnsembleOptions):
    kind: ClassVar[str] = "doubling"
    sequential: ClassVar[bool] = True
    needs_predictions: ClassVar[bool] = True
    spoil: Spoil = field(default=lambda verdict: verdict)

    def build(self, classes: int) -> Ensemble:
        return Doubling(self.spoil)

    def merger(self, classes: int) -> MergerOptions:
        return MeanOptions()


def weights_changed(change: Callable[[Floats], Floats]) -> Spoil:
    def spoil(verdict: Verdict) -> Verdict:
        following = verdict.next
        return (
            verdict if following is None else evolve(verdict, next=evolve(following, weights=change(following.weights)))
        )

    return spoil


def never_ending(verdict: Verdict) -> Verdict:
    equal = Round(sampling=Sampling.REWEIGHT, weights=np.full(40, 1 / 40))
    return evolve(verdict, next=verdict.next or equal)


def say_of_the_discarded(verdict: Verdict) -> Verdict:
    return verdict if verdict.kept else evolve(verdict, weight=0.5)


BROKEN: dict[str, tuple[Spoil, str]] = {
    "order": (weights_changed(lambda w: np.sort(w)), "go with their examples"),
    "sum": (weights_changed(lambda w: 2 * w), "add up to"),
    "negative": (weights_changed(lambda w: w - w.max() + 1 / len(w)), "no shares|add up"),
    "nan": (weights_changed(lambda w: w * np.nan), "no shares"),
    "shape": (weights_changed(lambda w: w[:-1]), "per example"),
    "weight": (lambda verdict: evolve(verdict, weight=float("inf")), "weighs inf"),
    "discarded": (say_of_the_discarded, "discarded and still weighs"),
    "endless": (never_ending, "do not end"),
}


@pytest.mark.parametrize("classes", [2, 3])
def test_a_right_ensemble_passes(classes: int) -> None:
    check_ensemble(DoublingOptions(), classes)


@pytest.mark.parametrize("broken", sorted(BROKEN))
def test_a_broken_ensemble_is_found(broken: str) -> None:
    spoil, what = BROKEN[broken]
    with pytest.raises(LawError, match=what):
        check_ensemble(DoublingOptions(spoil=spoil), 2)


def test_a_broken_merger_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mean, "merge", lambda self, logits, weights: -logits[0])
    with pytest.raises(LawError):
        check_ensemble(DoublingOptions(), 2)
