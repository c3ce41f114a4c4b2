from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.data.metrics import (
    ACCURACY_F1_METRICS,
    ACCURACY_METRICS,
    CORRELATION_METRICS,
    MATTHEWS_METRICS,
    accuracy,
    brier,
    expected_calibration_error,
    f1,
    matthews,
    pearson,
    spearman,
)
from bebertlab.interfaces.task import Answers, Labels, Metric

# 3 true and 1 false positives, 2 false and 4 true negatives
PREDICTIONS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
LABELS = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])


def test_classification_metrics_match_manual_calculation() -> None:
    assert accuracy(PREDICTIONS, LABELS) == pytest.approx(70.0)
    assert f1(PREDICTIONS, LABELS) == pytest.approx(100 * 2 * 3 / (2 * 3 + 1 + 2))
    assert matthews(PREDICTIONS, LABELS) == pytest.approx(100 * (3 * 4 - 1 * 2) / math.sqrt(4 * 5 * 5 * 6))


def test_matthews_is_symmetric_in_the_classes_and_f1_is_not() -> None:
    assert matthews(1 - PREDICTIONS, 1 - LABELS) == pytest.approx(matthews(PREDICTIONS, LABELS))
    assert f1(1 - PREDICTIONS, 1 - LABELS) == pytest.approx(100 * 2 * 4 / (2 * 4 + 1 + 2))


def test_regression_metrics_match_manual_calculation() -> None:
    predictions = np.array([1.0, 2.0, 2.0, 5.0], dtype=np.float32)
    labels = np.array([0.0, 1.0, 3.0, 2.0], dtype=np.float32)
    # means 2.5 and 1.5; products 2.25, 0.25, -0.75, 1.25; squares 9 and 5
    assert pearson(predictions, labels) == pytest.approx(100 * 3.0 / math.sqrt(9 * 5))
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 4, 3; products 2.25, 0, 0, 0.75; squares 4.5 and 5
    assert spearman(predictions, labels) == pytest.approx(100 * 3.0 / math.sqrt(4.5 * 5))


def _values(metrics: tuple[Metric, ...], predictions: Labels, labels: Labels) -> dict[str, float]:
    answers = Answers(predictions=predictions, labels=labels)
    return {metric.name: metric.compute(answers) for metric in metrics if not metric.needs_scores}


# confidences 0.9, 0.8, 0.7, 0.6; the first two predictions are correct
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]])
CLASSES = np.array([0, 1, 1, 0])


def test_calibration_error_matches_manual_calculation() -> None:
    # two bins: |0.65 - 0| and |0.85 - 1|, each of half the examples
    assert expected_calibration_error(PROBABILITIES, CLASSES, bins=2) == pytest.approx(100 * (0.65 + 0.15) / 2)
    # one bin an example
    assert expected_calibration_error(PROBABILITIES, CLASSES) == pytest.approx(100 * (0.1 + 0.2 + 0.7 + 0.6) / 4)
    assert brier(PROBABILITIES, CLASSES) == pytest.approx(2 * (0.01 + 0.04 + 0.49 + 0.36) / 4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_the_order_of_examples_of_equal_confidence_does_not_change_the_calibration(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 5, size) / 4
    probabilities, labels = np.stack([first, 1 - first], axis=1), rng.integers(0, 2, size)
    order = rng.permutation(size)
    shuffled = expected_calibration_error(probabilities[order], labels[order], bins=4)
    assert shuffled == pytest.approx(expected_calibration_error(probabilities, labels, bins=4))
    assert 0 <= shuffled <= 100


def test_calibration_without_probabilities_is_refused() -> None:
    answers = Answers(predictions=PREDICTIONS, labels=LABELS)
    with pytest.raises(ValueError, match="expected_calibration_error needs the probabilities"):
        next(metric for metric in ACCURACY_METRICS if metric.name == "ece").compute(answers)


def test_metric_bundles_contain_the_names_that_tasks_select_by() -> None:
    assert _values(ACCURACY_METRICS, PREDICTIONS, LABELS) == {"accuracy": pytest.approx(70.0)}
    assert [metric.name for metric in MATTHEWS_METRICS] == ["matthews", "accuracy", "ece", "brier"]
    assert _values(ACCURACY_F1_METRICS, PREDICTIONS, LABELS)["mean"] == pytest.approx((70.0 + 200 / 3) / 2)
    scores = _values(CORRELATION_METRICS, np.array([1.0, 2.0, 2.0, 5.0]), np.array([0.0, 1.0, 3.0, 2.0]))
    assert scores["mean"] == pytest.approx((scores["pearson"] + scores["spearman"]) / 2)


@pytest.mark.parametrize("value", [0, 1])
def test_constant_predictions_score_0_without_warnings(value: int) -> None:
    constant = np.full(10, value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert matthews(constant, LABELS) == matthews(constant, constant) == 0.0
        assert f1(np.zeros(10, dtype=int), np.zeros(10, dtype=int)) == 0.0
        values = _values(CORRELATION_METRICS, constant.astype(np.float32), LABELS * 0.5)
        assert values == dict.fromkeys(("pearson", "spearman", "mean"), 0.0)
        assert accuracy(constant, LABELS) == pytest.approx(50.0)
        assert abs(pearson(1e9 + PREDICTIONS * 1e-7, LABELS * 0.5)) <= 100.0


@pytest.mark.parametrize("labels", [np.zeros((10, 1)), np.zeros(9), np.zeros(0)])
def test_arrays_that_do_not_match_are_refused(labels: np.ndarray) -> None:
    for metric in (accuracy, matthews, f1, pearson, spearman):
        with pytest.raises(ValueError, match=r"must be equal, \(N,\)"):
            metric(PREDICTIONS[: labels.size] if labels.size < 9 else PREDICTIONS, labels)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_two_classes_agree_with_the_counts(pairs: list[tuple[int, int]]) -> None:
    predictions, labels = (np.array(column) for column in zip(*pairs, strict=True))
    tp, tn = int((predictions & labels).sum()), int(((1 - predictions) & (1 - labels)).sum())
    fp, fn = int((predictions & (1 - labels)).sum()), int(((1 - predictions) & labels).sum())
    root = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert matthews(predictions, labels) == pytest.approx(100 * (tp * tn - fp * fn) / root if root else 0.0)
    assert f1(predictions, labels) == pytest.approx(100 * 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0)
    assert accuracy(predictions, labels) == pytest.approx(100 * (tp + tn) / len(pairs))
