from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bebertlab.interfaces.ensemble import Ensemble, Floats, MemberResult, SampleWeights, Sampling, signature_problem
from bebertlab.interfaces.training_data import TrainingData

HALF = np.array([0.5, 0.5, 0.0, 0.0])


def test_valid_sample_weights_have_no_problem() -> None:
    assert not SampleWeights(sampling=Sampling.SUBSET, weights=HALF).problem(4)
    assert not SampleWeights(sampling=Sampling.BOOTSTRAP, weights=HALF, draws=9).problem(4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": HALF[:3]}, "not a float64 array of shape (4,)"),
        ({"weights": HALF.astype(np.float32)}, "not a float64 array of shape (4,)"),
        ({"weights": HALF.tolist()}, "not a float64 array of shape (4,)"),
        ({"weights": HALF * np.nan}, "NaN"),
        ({"weights": np.array([1.5, -0.5, 0.0, 0.0])}, "negative"),
        ({"weights": 2 * HALF}, "sum to 2.0, not 1"),
        ({"weights": 0 * HALF}, "sum to 0.0, not 1"),
        ({"retries": -1}, "-1 retries"),
        ({"draws": 0}, "at least 1"),
        ({"draws": 2.0}, "2.0 draws, expected an integer"),
        ({"sampling": "subset"}, "sampling 'subset', expected one of Sampling.ALL, "),
        ({"draws": 2, "sampling": Sampling.SUBSET}, "`draws`, which SUBSET does not use"),
        ({"weights": np.array([0.75, 0.25, 0.0, 0.0]), "sampling": Sampling.SUBSET}, "must be equal"),
    ],
)
def test_the_problem_of_sample_weights_is_named(changes: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"sampling": Sampling.BOOTSTRAP, "weights": HALF, **changes}
    assert message in SampleWeights(**values).problem(4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({"weight": float("nan")}, "weight nan"),
        ({"weight": -1.0}, "weight -1.0"),
        ({"kept": False}, "weight 1.0 of a member that is not kept"),
        ({"error": float("inf")}, "error inf"),
        (
            {"next": SampleWeights(sampling=Sampling.ALL, weights=HALF[:3])},
            "next with weights that are not a float64 array",
        ),
    ],
)
def test_the_problem_of_a_member_result_is_named(changes: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"weight": 1.0, "kept": True, "error": None, "next": None, **changes}
    problem = MemberResult(**values).problem(4)
    assert problem.startswith(message)
    assert bool(problem) == bool(message)


class ReturnsArray(Ensemble):
    def first(self, index: int, data: TrainingData) -> SampleWeights:
        return SampleWeights(sampling=Sampling.ALL, weights=np.full(len(data), 1 / len(data)))

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        return MemberResult(weight=1.0, kept=True, error=None, next=None)


class Counting(ReturnsArray):
    def first(self, examples: int) -> SampleWeights:  # type: ignore[override]
        return SampleWeights(sampling=Sampling.ALL, weights=np.full(examples, 1 / examples))


class Short(ReturnsArray):
    def update(self, index: int, weights: SampleWeights, logits: Floats | None) -> MemberResult:  # type: ignore[override]
        return MemberResult(weight=1.0, kept=True, error=None, next=None)


def test_methods_with_another_signature_are_named() -> None:
    assert not signature_problem(ReturnsArray())
    problem = signature_problem(Counting())
    assert problem.startswith("first(examples) is called as first(index, data); data has the ids, labels and seed")
    assert "update(index, weights, logits, data)" in signature_problem(Short())
