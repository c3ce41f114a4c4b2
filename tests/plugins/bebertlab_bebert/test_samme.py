from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bebertlab.interfaces.ensemble import Ensemble, Floats, SampleWeights, Sampling
from bebertlab.testing.tiny import tiny_data
from bebertlab_bebert.boosting import BoostingOptions

if TYPE_CHECKING:
    pass


def samme(classes: int, **options: Any) -> Ensemble:  # noqa: ANN401 - options of any kind
    return BoostingOptions(**options).build(classes)


def logits(predictions: NDArray[Any], classes: int) -> Floats:
    made: Floats = np.eye(classes)[predictions]
    return made


def weighted(weights: list[float]) -> SampleWeights:
    return SampleWeights(sampling=Sampling.RESAMPLE, weights=np.array(weights))


def test_a_round_by_hand() -> None:
    labels = np.array([0, 1, 1, 0])
    predictions = np.array([0, 1, 1, 1])  # misses the last
    verdict = samme(2).update(0, weighted([0.25] * 4), logits(predictions, 2), tiny_data(labels))
    assert verdict.error == 0.25
    assert verdict.weight == pytest.approx(math.log(3))
    assert verdict.next is not None
    assert verdict.next.weights == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_three_classes_have_room_for_more_errors() -> None:
    labels = np.array([0, 1, 2, 0, 1])
    predictions = np.array([0, 1, 0, 1, 2])  # error 0.6: worse than half, better than chance
    verdict = samme(3).update(0, weighted([0.2] * 5), logits(predictions, 3), tiny_data(labels))
    assert verdict.kept
    assert verdict.weight == pytest.approx(math.log(0.4 / 0.6) + math.log(2))
    assert verdict.next is not None
    assert verdict.next.weights[2] > verdict.next.weights[0]


def test_no_errors_give_a_bounded_weight_and_leave_the_weights() -> None:
    labels = np.array([0, 1])
    verdict = samme(2, error_floor=1e-6).update(0, weighted([0.9, 0.1]), logits(labels, 2), tiny_data(labels))
    assert verdict.weight == pytest.approx(math.log((1 - 1e-6) / 1e-6))
    assert (verdict.kept, verdict.error) == (True, 0.0)
    assert verdict.next is not None
    assert verdict.next.weights.tolist() == [0.9, 0.1]
    stopped = samme(2, perfect="stop").update(0, weighted([0.5, 0.5]), logits(labels, 2), tiny_data(labels))
    assert stopped.kept
    assert stopped.next is None


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_chance_and_worse_is_discarded(classes: int) -> None:
    labels = np.arange(3 * classes) % classes
    constant = logits(np.zeros_like(labels), classes)  # error is exactly 1 - 1/C, up to rounding
    round = samme(classes).first(0, tiny_data(labels))
    verdict = samme(classes).update(0, round, constant, tiny_data(labels))
    assert (verdict.kept, verdict.weight) == (False, 0.0)
    assert verdict.next is not None
    assert verdict.next.retries == 1
    worse = samme(classes, retries=0).update(0, round, logits((labels + 1) % classes, classes), tiny_data(labels))
    assert (worse.kept, worse.next) == (False, None)
    assert worse.error == pytest.approx(1.0)


@given(
    st.integers(2, 4).flatmap(
        lambda classes: st.tuples(
            st.just(classes),
            st.lists(st.tuples(*[st.integers(0, classes - 1)] * 2, st.floats(0.01, 1)), min_size=2, max_size=20),
        )
    )
)
def test_the_next_round_makes_the_member_as_good_as_chance(case: tuple[int, list[tuple[int, int, float]]]) -> None:
    """The point of boosting: under the new weights, the member is of no use."""
    classes, rows = case
    labels, predictions, weights = (np.array(column) for column in zip(*rows, strict=True))
    round = SampleWeights(sampling=Sampling.RESAMPLE, weights=weights / weights.sum())
    verdict = samme(classes).update(0, round, logits(predictions, classes), tiny_data(labels))
    if verdict.kept and verdict.error and verdict.next is not None:
        assert verdict.weight > 0
        assert verdict.next.weights[predictions != labels].sum() == pytest.approx(1 - 1 / classes)
