from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.interfaces.ensemble import Ensemble, SampleWeights, Sampling
from bebertlab.testing.tiny import tiny_data
from bebertlab_bebert.boosting import BoostingOptions

Loss = Literal["linear", "square", "exponential"]


def r2(loss: Loss = "square", error_floor: float = 1e-10) -> Ensemble:
    return BoostingOptions(loss=loss, error_floor=error_floor).build(1)


def weighted(weights: list[float]) -> SampleWeights:
    return SampleWeights(sampling=Sampling.RESAMPLE, weights=np.array(weights))


def reference(
    predictions: list[float], labels: list[float], weights: list[float], loss: Loss
) -> tuple[float, list[float]]:
    """Drucker's steps, one example at a time: the error, and the next weights."""
    distances = [abs(prediction - label) for prediction, label in zip(predictions, labels, strict=True)]
    worst = max(distances)
    losses = []
    for distance in distances:
        if loss == "linear":
            losses.append(distance / worst)
        elif loss == "square":
            losses.append(distance * distance / (worst * worst))
        else:
            losses.append(1 - math.exp(-distance / worst))
    total = sum(weights)
    error = sum(weight / total * one for weight, one in zip(weights, losses, strict=True))
    if error >= 0.5:
        return error, []
    beta = error / (1 - error)
    raised = [weight * beta ** (1 - one) for weight, one in zip(weights, losses, strict=True)]
    return error, [weight / sum(raised) for weight in raised]


def test_samme_by_hand() -> None:
    # distances 0, 0, 0, 2: losses 0, 0, 0, 1; e = 1/4; b = 1/3
    result = r2().update(
        0, weighted([0.25] * 4), np.array([[1.0], [2.0], [3.0], [6.0]]), tiny_data(np.array([1.0, 2, 3, 4]))
    )
    assert result.error == pytest.approx(0.25)
    assert result.weight == pytest.approx(math.log(3))
    assert result.next is not None
    assert result.next.weights == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


rows = st.lists(
    st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 1)).filter(lambda row: abs(row[0] - row[1]) > 1e-3),
    min_size=2,
    max_size=15,
)


@pytest.mark.parametrize("loss", ["linear", "square", "exponential"])
@given(rows=rows)
def test_matches_the_steps_one_by_one(loss: Loss, rows: list[tuple[float, float, float]]) -> None:
    predictions, labels, weights = (list(column) for column in zip(*rows, strict=True))
    error, following = reference(predictions, labels, weights, loss)
    result = r2(loss).update(0, weighted(weights), np.array(predictions)[:, None], tiny_data(np.array(labels)))
    assert result.error == pytest.approx(error)
    if abs(error - 0.5) > 1e-9:  # nearer, rounding decides
        assert result.kept == (error < 0.5)
    if result.kept and result.next is not None and following:
        assert result.weight == pytest.approx(math.log((1 - error) / error))
        assert result.next.weights == pytest.approx(following)


def test_a_perfect_member_has_a_bounded_weight() -> None:
    labels = np.array([1.0, 2.0])
    result = r2(error_floor=1e-6).update(0, weighted([0.9, 0.1]), labels[:, None], tiny_data(labels))
    assert result.weight == pytest.approx(math.log((1 - 1e-6) / 1e-6))
    assert result.next is not None
    assert result.next.weights.tolist() == [0.9, 0.1]


def test_an_error_of_a_half_is_too_much() -> None:
    result = r2().update(0, weighted([0.5, 0.5]), np.array([[1.0], [4.0]]), tiny_data(np.array([1.0, 2.0])))
    assert result.error == 0.5
    assert (result.kept, result.weight) == (False, 0.0)
    assert result.next is not None
    assert result.next.retries == 1
