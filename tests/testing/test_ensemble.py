from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from bebertlab.interfaces.ensemble import (
    Ensemble,
    EnsembleOptions,
    Floats,
    MemberResult,
    Merger,
    MergerOptions,
    SampleWeights,
    Sampling,
)
from bebertlab.interfaces.training_data import TrainingData
from bebertlab.testing.contract import ContractError
from bebertlab.testing.ensemble import check_ensemble

Spoil = Callable[[MemberResult], MemberResult]


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
    """Doubles the weights of misclassified examples; ends after a member without correct predictions."""

    def __init__(self, spoil: Spoil) -> None:
        self.spoil = spoil

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        return SampleWeights(sampling=Sampling.REWEIGHT, weights=np.full(len(data), 1 / len(data)))

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        assert logits is not None
        miss = logits.argmax(axis=1) != data.labels
        raised = weights.weights * (1 + miss)
        following = evolve(weights, weights=raised / raised.sum())
        useful = not miss.all()
        result = MemberResult(weight=float(useful), kept=useful, error=0.0, next=following if useful else None)
        return self.spoil(result)


@frozen(kw_only=True)
class DoublingOptions(EnsembleOptions):
    kind: ClassVar[str] = "doubling"
    sequential: ClassVar[bool] = True
    needs_predictions: ClassVar[bool] = True
    spoil: Spoil = field(default=lambda result: result)

    def build(self, classes: int) -> Ensemble:
        return Doubling(self.spoil)

    def merger(self, classes: int) -> MergerOptions:
        return MeanOptions()


def weights_changed(change: Callable[[Floats], Floats]) -> Spoil:
    def spoil(result: MemberResult) -> MemberResult:
        following = result.next
        return (
            result if following is None else evolve(result, next=evolve(following, weights=change(following.weights)))
        )

    return spoil


def returning_weights_after_the_end(result: MemberResult) -> MemberResult:
    equal = SampleWeights(sampling=Sampling.REWEIGHT, weights=np.full(40, 1 / 40))
    return evolve(result, next=result.next or equal)


def returning_the_error_of_discarded_members(result: MemberResult) -> MemberResult:
    return result if result.kept else evolve(result, weight=0.5)


BROKEN: dict[str, tuple[Spoil, str]] = {
    "order": (weights_changed(lambda w: np.sort(w)), "depend on the positions of the examples"),
    "sum": (weights_changed(lambda w: 2 * w), "sum to"),
    "negative": (weights_changed(lambda w: w - w.max() + 1 / len(w)), "negative|sum to"),
    "nan": (weights_changed(lambda w: w * np.nan), "NaN"),
    "shape": (weights_changed(lambda w: w[:-1]), "one for each example"),
    "weight": (lambda result: evolve(result, weight=float("inf")), "weight inf"),
    "discarded": (returning_the_error_of_discarded_members, "of a member that is not kept"),
    "endless": (returning_weights_after_the_end, "do not end"),
}


@pytest.mark.parametrize("classes", [2, 3])
def test_a_correct_ensemble_passes(classes: int) -> None:
    check_ensemble(DoublingOptions(), classes)


@pytest.mark.parametrize("broken", sorted(BROKEN))
def test_a_broken_ensemble_is_rejected(broken: str) -> None:
    spoil, what = BROKEN[broken]
    with pytest.raises(ContractError, match=what):
        check_ensemble(DoublingOptions(spoil=spoil), 2)


def test_a_broken_merger_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mean, "merge", lambda self, logits, weights: -logits[0])
    with pytest.raises(ContractError):
        check_ensemble(DoublingOptions(), 2)


Choose = Callable[[int, TrainingData], NDArray[np.bool_]]


def share(numbers: Floats) -> NDArray[np.bool_]:
    """The 60 % of the examples that have the lowest numbers."""
    chosen = np.zeros(len(numbers), dtype=bool)
    chosen[np.argsort(numbers)[: round(0.6 * len(numbers))]] = True
    return chosen


def subset(chosen: NDArray[np.bool_], sampling: Sampling = Sampling.SUBSET) -> SampleWeights:
    return SampleWeights(sampling=sampling, weights=chosen / chosen.sum())


class Subsets(Ensemble):
    """Each member trains on a share of the examples, drawn without replacement."""

    sampling = Sampling.SUBSET

    def chosen(self, index: int, data: TrainingData) -> NDArray[np.bool_]:
        return share(data.uniform("subset", index))

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        return subset(self.chosen(index, data), self.sampling)

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        return MemberResult(weight=1.0, kept=True, error=None, next=None)


class SubsetsInTurn(Subsets):
    """The same sequentially, which is allowed."""

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        following = subset(self.chosen(index + 1, data), self.sampling)
        return MemberResult(weight=1.0, kept=True, error=None, next=following)


@frozen(kw_only=True)
class SubsetsOptions(EnsembleOptions):
    kind: ClassVar[str] = "subsets"
    sequential: ClassVar[bool] = False
    needs_predictions: ClassVar[bool] = False
    strategy: type[Ensemble] = Subsets

    def build(self, classes: int) -> Ensemble:
        return self.strategy()

    def merger(self, classes: int) -> MergerOptions:
        return MeanOptions()


@frozen(kw_only=True)
class InTurnOptions(SubsetsOptions):
    kind: ClassVar[str] = "in_turn"
    sequential: ClassVar[bool] = True
    strategy: type[Ensemble] = SubsetsInTurn


@frozen(kw_only=True)
class CountedUpdatesOptions(SubsetsOptions):
    kind: ClassVar[str] = "judged"
    needs_predictions: ClassVar[bool] = True


@pytest.mark.parametrize(
    "options", [SubsetsOptions(), InTurnOptions(), CountedUpdatesOptions()], ids=lambda o: str(o.kind)
)
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_a_draw_by_example_passes(options: EnsembleOptions, classes: int) -> None:
    check_ensemble(options, classes)


def by_position(index: int, data: TrainingData) -> NDArray[np.bool_]:
    return share(np.random.default_rng([data.seed, index]).random(len(data)))


def without_seed(index: int, data: TrainingData) -> NDArray[np.bool_]:
    return share(TrainingData(ids=data.ids, labels=data.labels, seed=0).uniform("subset", index))


def neither(index: int, data: TrainingData) -> NDArray[np.bool_]:
    return share(np.random.default_rng([index, 20221015]).random(len(data)))


def without_index(index: int, data: TrainingData) -> NDArray[np.bool_]:
    return share(data.uniform("subset"))


def by_hash(index: int, data: TrainingData) -> NDArray[np.bool_]:
    return share(np.array([float(hash((example, index, data.seed))) for example in data.ids]))


def any_numbers(index: int, data: TrainingData) -> NDArray[np.bool_]:
    return share(np.random.default_rng().random(len(data)))


def global_numbers(index: int, data: TrainingData) -> NDArray[np.bool_]:
    return share(np.random.random(len(data)))


def first_examples(index: int, data: TrainingData) -> NDArray[np.bool_]:
    return share(np.arange(len(data), dtype=np.float64))


class NoExamples(Subsets):
    def first(self, index: int, data: TrainingData) -> SampleWeights:
        return SampleWeights(sampling=Sampling.SUBSET, weights=np.zeros(len(data)))


def by_folds(index: int, data: TrainingData) -> NDArray[np.bool_]:
    """Omits another fold for each member, which is a draw too."""
    return np.array([zlib.crc32(example.encode()) % 5 != index % 5 for example in data.ids])


class Stateful(Subsets):
    """Continues its random stream."""

    def __init__(self) -> None:
        self.asked = 0

    def chosen(self, index: int, data: TrainingData) -> NDArray[np.bool_]:
        self.asked += 1
        return share(data.uniform("subset", index, self.asked))


class Relabelling(Subsets):
    def first(self, index: int, data: TrainingData) -> SampleWeights:
        data.labels[0] = 1
        return super().first(index, data)


class Counting(Subsets):
    """The signature of strategies before they received a seed."""

    def first(self, examples: int) -> SampleWeights:  # type: ignore[override]
        return subset(share(np.random.default_rng(0).random(examples)))


class Mistaking(Subsets):
    """Mistakes the data for a number."""

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        return SampleWeights(sampling=Sampling.ALL, weights=np.full(data, 1.0))  # type: ignore[call-overload]


class Missing(Subsets):
    """Mistakes the data for the labels."""

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        missed = np.zeros(len(data)) != data
        return MemberResult(weight=float(np.mean(missed)), kept=True, error=None, next=None)


class ReadsMissingPredictions(Subsets):
    """Reads predictions that it did not request."""

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        return MemberResult(weight=1.0, kept=bool(logits.argmax(axis=1).all()), error=None, next=None)  # type: ignore[union-attr]


class Costly(Subsets):
    sampling = Sampling.REWEIGHT


class TinyWeights(Subsets):
    def first(self, index: int, data: TrainingData) -> SampleWeights:
        weights = self.chosen(index, data) + 1e-12
        return SampleWeights(sampling=Sampling.REWEIGHT, weights=weights / weights.sum())


class Uneven(Subsets):
    def first(self, index: int, data: TrainingData) -> SampleWeights:
        weights = data.uniform("subset", index)
        return SampleWeights(sampling=Sampling.SUBSET, weights=weights / weights.sum())


class Unread(SubsetsInTurn):
    """Not sequential, and returns what the next member would train on."""

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        return MemberResult(weight=1.0, kept=True, error=None, next=subset(share(data.uniform("next", index))))


class ByPositionLater(SubsetsInTurn):
    """The first draw depends on the examples, later ones on their positions."""

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        return MemberResult(weight=1.0, kept=True, error=None, next=subset(by_position(index, data)))


class SeedlessLater(SubsetsInTurn):
    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        return MemberResult(weight=1.0, kept=True, error=None, next=subset(without_seed(index + 1, data)))


class CostlyLater(SubsetsInTurn):
    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        following = subset(self.chosen(index + 1, data), Sampling.REWEIGHT)
        return MemberResult(weight=1.0, kept=True, error=None, next=following)


class UpdatedByPosition(Subsets):
    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        return MemberResult(weight=float(data.labels[0]), kept=True, error=None, next=None)


def drawing(choose: Choose) -> type[Ensemble]:
    return type("Drawing", (Subsets,), {"chosen": lambda self, index, data: choose(index, data)})


BY_POSITION, SAME = "depend on the positions of the examples", r"the same examples for every seed"
BROKEN_DRAWS: dict[str, tuple[EnsembleOptions, str]] = {
    "by position": (
        SubsetsOptions(strategy=drawing(by_position)),
        rf"first\(0, data\): weights {BY_POSITION}; draw with",
    ),
    "without a seed": (SubsetsOptions(strategy=drawing(without_seed)), rf"first\(0, data\): draws {SAME}"),
    "by hash": (SubsetsOptions(strategy=drawing(by_hash)), r"first\(0, data\) depends on hash\(id\) or"),
    "neither": (SubsetsOptions(strategy=drawing(neither)), BY_POSITION),
    "without the index": (SubsetsOptions(strategy=drawing(without_index)), "every member draws the same examples"),
    "any numbers": (SubsetsOptions(strategy=drawing(any_numbers)), "returns other weights when it is called again"),
    "global numbers": (
        SubsetsOptions(strategy=drawing(global_numbers)),
        "returns other weights when it is called again",
    ),
    "the first ones": (SubsetsOptions(strategy=drawing(first_examples)), BY_POSITION),
    "folds by id": (SubsetsOptions(strategy=drawing(by_folds)), SAME),
    "nobody": (SubsetsOptions(strategy=NoExamples), r"first\(0, data\) returns SampleWeights with weights"),
    "state": (SubsetsOptions(strategy=Stateful), "was called before returns something else"),
    "labels changed": (SubsetsOptions(strategy=Relabelling), r"first\(0, data\) raises ValueError: .*read-only"),
    "old signature": (
        SubsetsOptions(strategy=Counting),
        r"first\(examples\) is called as first\(index, data\); data",
    ),
    "a number": (SubsetsOptions(strategy=Mistaking), r"first\(0, data\) raises TypeError"),
    "labels": (
        SubsetsOptions(strategy=Missing),
        r"update\(0, .* raises TypeError: .*labels are `data.labels`",
    ),
    "no predictions": (
        SubsetsOptions(strategy=ReadsMissingPredictions),
        r"update\(0, ...\) of a .* raises AttributeError",
    ),
    "full cost": (
        SubsetsOptions(strategy=Costly),
        "16 of 40 examples have weight 0 and are computed all the same",
    ),
    "next to no weight": (SubsetsOptions(strategy=TinyWeights), "16 of 40 examples have a negligible weight"),
    "uneven": (SubsetsOptions(strategy=Uneven), "different weights in a SUBSET"),
    "unread": (SubsetsOptions(strategy=Unread), "set sequential = True"),
    "by position in turn": (
        InTurnOptions(strategy=ByPositionLater),
        rf"update\(0, ...\) of a .*: weights {BY_POSITION}",
    ),
    "without a seed in turn": (InTurnOptions(strategy=SeedlessLater), rf"update\(0, ...\) of a .*: draws {SAME}"),
    "full cost in turn": (InTurnOptions(strategy=CostlyLater), r"update\(0, ...\) of a .* have weight 0"),
    "updated by position": (
        CountedUpdatesOptions(strategy=UpdatedByPosition),
        "the result depends on the order of the examples",
    ),
}


@pytest.mark.parametrize("broken", sorted(BROKEN_DRAWS))
@pytest.mark.parametrize("classes", [1, 2])
def test_a_broken_draw_is_rejected(broken: str, classes: int) -> None:
    options, what = BROKEN_DRAWS[broken]
    with pytest.raises(ContractError, match=what):
        check_ensemble(options, classes)
