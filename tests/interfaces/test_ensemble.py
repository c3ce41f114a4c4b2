from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bebertlab.interfaces.ensemble import Ensemble, Floats, MemberResult, SampleWeights, Sampling, signature_problem
from bebertlab.interfaces.training_data import TrainingData

HALF = np.array([0.5, 0.5, 0.0, 0.0])


def test_a_round_of_so_many_examples() -> None:
    assert not SampleWeights(sampling=Sampling.SUBSET, weights=HALF).problem(4)
    assert not SampleWeights(sampling=Sampling.BOOTSTRAP, weights=HALF, draws=9).problem(4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"weights": HALF[:3]}, "no float64 weight per example"),
        ({"weights": HALF.astype(np.float32)}, "no float64 weight per example"),
        ({"weights": HALF.tolist()}, "no float64 weight per example"),
        ({"weights": HALF * np.nan}, "finite"),
        ({"weights": np.array([1.5, -0.5, 0.0, 0.0])}, "at least 0"),
        ({"weights": 2 * HALF}, "add up to 2.0, not 1"),
        ({"weights": 0 * HALF}, "add up to 0.0, not 1"),
        ({"retries": -1}, "retries"),
        ({"draws": 0}, "at least 1"),
        ({"draws": 2.0}, "2.0 draws, expected an integer"),
        ({"sampling": "subset"}, "'subset' for its sampling, expected one of Sampling.ALL, "),
        ({"draws": 2, "sampling": Sampling.SUBSET}, "`draws`, which SUBSET does not use"),
        ({"weights": np.array([0.75, 0.25, 0.0, 0.0]), "sampling": Sampling.SUBSET}, "must be equal"),
    ],
)
def test_what_is_no_round(given: dict[str, Any], words: str) -> None:
    values: dict[str, Any] = {"sampling": Sampling.BOOTSTRAP, "weights": HALF, **given}
    assert words in SampleWeights(**values).problem(4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ""),
        ({"weight": float("nan")}, "the weight nan"),
        ({"weight": -1.0}, "the weight -1.0"),
        ({"kept": False}, "the weight 1.0 of a member that is not kept"),
        ({"error": float("inf")}, "the error inf"),
        (
            {"next": SampleWeights(sampling=Sampling.ALL, weights=HALF[:3])},
            "a next round with no float64 weight per example",
        ),
    ],
)
def test_what_is_no_verdict(given: dict[str, Any], words: str) -> None:
    values: dict[str, Any] = {"weight": 1.0, "kept": True, "error": None, "next": None, **given}
    problem = MemberResult(**values).problem(4)
    assert problem.startswith(words)
    assert bool(problem) == bool(words)


class Whole(Ensemble):
    def first(self, index: int, data: TrainingData) -> SampleWeights:
        return SampleWeights(sampling=Sampling.ALL, weights=np.full(len(data), 1 / len(data)))

    def update(self, index: int, round: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        return MemberResult(weight=1.0, kept=True, error=None, next=None)


class Counting(Whole):
    def first(self, examples: int) -> SampleWeights:  # type: ignore[override]
        return SampleWeights(sampling=Sampling.ALL, weights=np.full(examples, 1 / examples))


class Short(Whole):
    def update(self, index: int, round: SampleWeights, logits: Floats | None) -> MemberResult:  # type: ignore[override]
        return MemberResult(weight=1.0, kept=True, error=None, next=None)


def test_methods_that_take_something_else_are_named() -> None:
    assert not signature_problem(Whole())
    problem = signature_problem(Counting())
    assert problem.startswith("first(examples) is called as first(index, data); data has the ids, labels and seed")
    assert "update(index, round, logits, data)" in signature_problem(Short())
