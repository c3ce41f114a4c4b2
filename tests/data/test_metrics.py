from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.data.metrics import (
    accuracy,
    accuracy_f1_metrics,
    accuracy_metrics,
    correlation_metrics,
    f1,
    matthews,
    matthews_metrics,
    pearson,
    spearman,
)

# 3 true and 1 false positives, 2 false and 4 true negatives
PREDICTIONS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
LABELS = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])


def test_classes_by_hand() -> None:
    assert accuracy(PREDICTIONS, LABELS) == pytest.approx(70.0)
    assert f1(PREDICTIONS, LABELS) == pytest.approx(100 * 2 * 3 / (2 * 3 + 1 + 2))
    assert matthews(PREDICTIONS, LABELS) == pytest.approx(100 * (3 * 4 - 1 * 2) / math.sqrt(4 * 5 * 5 * 6))


def test_swapping_the_classes_leaves_matthews_and_not_f1() -> None:
    assert matthews(1 - PREDICTIONS, 1 - LABELS) == pytest.approx(matthews(PREDICTIONS, LABELS))
    assert f1(1 - PREDICTIONS, 1 - LABELS) == pytest.approx(100 * 2 * 4 / (2 * 4 + 1 + 2))


def test_scores_by_hand() -> None:
    predictions = np.array([1.0, 2.0, 2.0, 5.0], dtype=np.float32)
    labels = np.array([0.0, 1.0, 3.0, 2.0], dtype=np.float32)
    # means 2.5 and 1.5; products 2.25, 0.25, -0.75, 1.25; squares 9 and 5
    assert pearson(predictions, labels) == pytest.approx(100 * 3.0 / math.sqrt(9 * 5))
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 4, 3; products 2.25, 0, 0, 0.75; squares 4.5 and 5
    assert spearman(predictions, labels) == pytest.approx(100 * 3.0 / math.sqrt(4.5 * 5))


def test_bundles_hold_the_names_that_tasks_choose_their_score_from() -> None:
    assert accuracy_metrics(PREDICTIONS, LABELS) == {"accuracy": pytest.approx(70.0)}
    assert list(matthews_metrics(PREDICTIONS, LABELS)) == ["matthews", "accuracy"]
    assert accuracy_f1_metrics(PREDICTIONS, LABELS)["mean"] == pytest.approx((70.0 + 200 / 3) / 2)
    scores = correlation_metrics(np.array([1.0, 2.0, 2.0, 5.0]), np.array([0.0, 1.0, 3.0, 2.0]))
    assert scores["mean"] == pytest.approx((scores["pearson"] + scores["spearman"]) / 2)


@pytest.mark.parametrize("value", [0, 1])
def test_constant_predictions_are_worth_nothing_and_warn_of_nothing(value: int) -> None:
    constant = np.full(10, value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert matthews(constant, LABELS) == matthews(constant, constant) == 0.0
        assert f1(np.zeros(10, dtype=int), np.zeros(10, dtype=int)) == 0.0
        assert correlation_metrics(constant.astype(np.float32), LABELS * 0.5) == dict.fromkeys(
            ("pearson", "spearman", "mean"), 0.0
        )
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
