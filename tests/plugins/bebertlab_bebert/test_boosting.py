from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bebertlab.interfaces.ensemble import Ensemble, Floats, SampleWeights, Sampling
from bebertlab.testing.ensemble import check_ensemble
from bebertlab.testing.tiny import tiny_data
from bebertlab_bebert.boosting import AdaBoostR2, BoostingOptions, Reweighting, Samme
from bebertlab_bebert.merging import WeightedMedianOptions, WeightedProbabilityOptions

OPTIONS = [
    BoostingOptions(),
    BoostingOptions(sampling="reweight", perfect="stop", retries=0),
    BoostingOptions(loss="linear", weight_floor=0.1),
    BoostingOptions(loss="exponential", error_floor=1e-3),
]
Loss = Literal["linear", "square", "exponential"]


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_keeps_the_contract(options: BoostingOptions, classes: int) -> None:
    check_ensemble(options, classes)


@pytest.mark.parametrize("sampling", ["resample", "reweight"])
def test_weights_are_used_as_configured(sampling: Literal["resample", "reweight"]) -> None:
    assert BoostingOptions(sampling=sampling).build(2).first(0, tiny_data(np.arange(3) % 2)).sampling is Sampling(
        sampling
    )


def test_classes_determine_the_kind_of_boosting() -> None:
    assert isinstance(BoostingOptions().build(3), Samme)
    assert isinstance(BoostingOptions().build(1), AdaBoostR2)
    assert BoostingOptions().merger(3) == WeightedProbabilityOptions()
    assert BoostingOptions().merger(1) == WeightedMedianOptions()


@pytest.mark.parametrize(
    "wrong", [{"retries": -1}, {"error_floor": 0.0}, {"error_floor": 0.5}, {"weight_floor": 1.0}], ids=str
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BoostingOptions(**wrong)  # type: ignore[arg-type]


def reweighting(*, retries: int = 1, stop_at_perfect: bool = False, weight_floor: float = 0.0) -> Reweighting:
    return Reweighting(
        sampling=Sampling.RESAMPLE, retries=retries, stop_at_perfect=stop_at_perfect, weight_floor=weight_floor
    )


def test_kept_weights_are_normalized() -> None:
    result = reweighting().kept(2.0, 0.1, np.array([1.0, 3.0]))
    assert result.next is not None
    assert result.next.weights.tolist() == [0.25, 0.75]
    assert (result.weight, result.kept, result.error) == (2.0, True, 0.1)


def test_no_example_falls_below_the_floor() -> None:
    result = reweighting(weight_floor=0.5).kept(2.0, 0.1, np.array([0.0, 0.0, 0.0, 1.0]))
    assert result.next is not None
    assert np.allclose(result.next.weights, np.array([1, 1, 1, 8]) / 11)


def test_a_discarded_member_resets_the_weights_as_often_as_allowed() -> None:
    uneven = SampleWeights(sampling=Sampling.RESAMPLE, weights=np.array([0.9, 0.1]))
    first = reweighting().discarded(0.6, uneven)
    assert (first.weight, first.kept, first.error) == (0.0, False, 0.6)
    assert first.next is not None
    assert first.next.weights.tolist() == [0.5, 0.5]
    assert first.next.retries == 1
    assert reweighting().discarded(0.6, first.next).next is None
    assert reweighting(retries=0).discarded(0.6, uneven).next is None


def test_a_kept_member_ends_the_count_of_retries() -> None:
    result = reweighting().kept(1.0, 0.1, np.ones(2))
    assert result.next is not None
    assert result.next.retries == 0


def test_after_a_perfect_member_the_weights_stay_or_boosting_ends() -> None:
    weights = np.array([0.9, 0.1])
    continued = reweighting().perfect(23.0, weights)
    assert continued.next is not None
    assert continued.next.weights.tolist() == [0.9, 0.1]
    assert (continued.kept, continued.weight, continued.error) == (True, 23.0, 0.0)
    assert reweighting(stop_at_perfect=True).perfect(23.0, weights).next is None


def samme(classes: int, **options: Any) -> Ensemble:  # noqa: ANN401 - options of any kind
    return BoostingOptions(**options).build(classes)


def logits(predictions: NDArray[Any], classes: int) -> Floats:
    built: Floats = np.eye(classes)[predictions]
    return built


def weighted(weights: list[float]) -> SampleWeights:
    return SampleWeights(sampling=Sampling.RESAMPLE, weights=np.array(weights))


def test_samme_weights_match_manual_calculation() -> None:
    labels = np.array([0, 1, 1, 0])
    predictions = np.array([0, 1, 1, 1])  # misses the last
    result = samme(2).update(0, weighted([0.25] * 4), logits(predictions, 2), tiny_data(labels))
    assert result.error == 0.25
    assert result.weight == pytest.approx(math.log(3))
    assert result.next is not None
    assert result.next.weights == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_with_three_classes_a_larger_error_is_allowed() -> None:
    labels = np.array([0, 1, 2, 0, 1])
    predictions = np.array([0, 1, 0, 1, 2])  # error 0.6: worse than half, better than chance
    result = samme(3).update(0, weighted([0.2] * 5), logits(predictions, 3), tiny_data(labels))
    assert result.kept
    assert result.weight == pytest.approx(math.log(0.4 / 0.6) + math.log(2))
    assert result.next is not None
    assert result.next.weights[2] > result.next.weights[0]


def test_no_errors_give_a_bounded_weight_and_leave_the_weights() -> None:
    labels = np.array([0, 1])
    result = samme(2, error_floor=1e-6).update(0, weighted([0.9, 0.1]), logits(labels, 2), tiny_data(labels))
    assert result.weight == pytest.approx(math.log((1 - 1e-6) / 1e-6))
    assert (result.kept, result.error) == (True, 0.0)
    assert result.next is not None
    assert result.next.weights.tolist() == [0.9, 0.1]
    stopped = samme(2, perfect="stop").update(0, weighted([0.5, 0.5]), logits(labels, 2), tiny_data(labels))
    assert stopped.kept
    assert stopped.next is None


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_chance_and_worse_is_discarded(classes: int) -> None:
    labels = np.arange(3 * classes) % classes
    constant = logits(np.zeros_like(labels), classes)  # error is exactly 1 - 1/C, up to rounding
    weights = samme(classes).first(0, tiny_data(labels))
    result = samme(classes).update(0, weights, constant, tiny_data(labels))
    assert (result.kept, result.weight) == (False, 0.0)
    assert result.next is not None
    assert result.next.retries == 1
    worse = samme(classes, retries=0).update(0, weights, logits((labels + 1) % classes, classes), tiny_data(labels))
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
def test_under_the_next_weights_the_member_is_as_good_as_chance(case: tuple[int, list[tuple[int, int, float]]]) -> None:
    """The principle of boosting: under the new weights, the member is as good as chance."""
    classes, rows = case
    labels, predictions, weights = (np.array(column) for column in zip(*rows, strict=True))
    sample_weights = SampleWeights(sampling=Sampling.RESAMPLE, weights=weights / weights.sum())
    result = samme(classes).update(0, sample_weights, logits(predictions, classes), tiny_data(labels))
    if result.kept and result.error and result.next is not None:
        assert result.weight > 0
        assert result.next.weights[predictions != labels].sum() == pytest.approx(1 - 1 / classes)


def r2(loss: Loss = "square", error_floor: float = 1e-10) -> Ensemble:
    return BoostingOptions(loss=loss, error_floor=error_floor).build(1)


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
    error = sum(weight / total * item for weight, item in zip(weights, losses, strict=True))
    if error >= 0.5:
        return error, []
    beta = error / (1 - error)
    raised = [weight * beta ** (1 - item) for weight, item in zip(weights, losses, strict=True)]
    return error, [weight / sum(raised) for weight in raised]


def test_adaboost_r2_weights_match_manual_calculation() -> None:
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
def test_weights_equal_those_of_separate_steps(loss: Loss, rows: list[tuple[float, float, float]]) -> None:
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


def test_an_error_of_one_half_is_refused() -> None:
    result = r2().update(0, weighted([0.5, 0.5]), np.array([[1.0], [4.0]]), tiny_data(np.array([1.0, 2.0])))
    assert result.error == 0.5
    assert (result.kept, result.weight) == (False, 0.0)
    assert result.next is not None
    assert result.next.retries == 1
