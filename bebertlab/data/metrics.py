"""Metrics as the GLUE tables print them, over a whole split at once in percent of the best value, and calibration.

Predictions and labels are (N,): integers for classes, floats for regression. For constant predictions, every metric
of them but accuracy is 0, without a warning.
Source: GLUE, arXiv:1804.07461; scikit-learn and scipy compute.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from bebertlab.interfaces.metric_names import TASK_METRICS
from bebertlab.interfaces.task import Answers, Labels, Metric, Scores


def accuracy(predictions: Labels, labels: Labels) -> float:
    """Share of correct predictions.

    >>> accuracy(np.array([1, 0, 1, 1]), np.array([1, 0, 0, 1]))
    75.0
    """
    _same_length(predictions, labels)
    return float(100.0 * np.mean(predictions == labels))


def matthews(predictions: Labels, labels: Labels) -> float:
    """Matthews' correlation of classes, -100 to 100: 0 is chance, whatever the frequencies of the classes.

    >>> round(matthews(np.array([1, 0, 1, 1]), np.array([1, 0, 0, 1])), 2)
    57.74
    """
    from sklearn.metrics import matthews_corrcoef

    _same_length(predictions, labels)
    if _constant(predictions) or _constant(labels):
        return 0.0  # scikit-learn gives the same, but warns where both are constant
    return float(100.0 * matthews_corrcoef(labels, predictions))


def f1(predictions: Labels, labels: Labels) -> float:
    """Harmonic mean of precision and recall of class 1.

    >>> round(f1(np.array([1, 0, 1, 1]), np.array([1, 0, 0, 1])), 2)
    80.0
    """
    from sklearn.metrics import f1_score

    _same_length(predictions, labels)
    return float(100.0 * f1_score(labels, predictions, labels=[1], average="micro", zero_division=0.0))


def pearson(predictions: Labels, labels: Labels) -> float:
    """Linear correlation of scores, -100 to 100.

    >>> round(pearson(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 2.0])), 2)
    98.2
    """
    from scipy.stats import pearsonr

    return _correlation(pearsonr, predictions, labels)


def spearman(predictions: Labels, labels: Labels) -> float:
    """Correlation of ranks, -100 to 100; equal scores share their mean rank.

    >>> round(spearman(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 2.0])), 2)
    100.0
    """
    from scipy.stats import spearmanr

    return _correlation(spearmanr, predictions, labels)


def expected_calibration_error(probabilities: Scores, labels: Labels, *, bins: int = 15) -> float:
    """Mean distance of confidence and accuracy over bins of equal counts (adaptive bins), in percent; 0 is best.

    The confidence of an example is the largest of its probabilities (N, C). A calibrated model does not reach 0 on a
    small split: with fewer examples per bin, the accuracy of each differs more from its confidence by chance.
    Source: Nixon et al. 2019, arXiv:1904.01685, of Naeini et al. 2015 with bins of equal width.

    >>> expected_calibration_error(np.array([[0.75, 0.25], [0.25, 0.75]]), np.array([0, 1]), bins=1)
    25.0
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    order = np.lexsort(
        (correct, confidence)
    )  # examples of equal confidence are sorted by correctness, so that their order does not matter
    gaps = (
        len(rows) * abs(confidence[rows].mean() - correct[rows].mean())
        for rows in np.array_split(order, min(bins, len(order)))
    )
    return float(100.0 * sum(gaps) / len(order))


def brier(probabilities: Scores, labels: Labels) -> float:
    """Mean squared distance of the probabilities (N, C) from those of the correct class, 0 (best) to 2.

    Source: Brier 1950.

    >>> brier(np.array([[0.75, 0.25], [0.25, 0.75]]), np.array([0, 0]))
    0.625
    """
    correct = np.eye(probabilities.shape[1])[labels]
    return float(np.square(probabilities - correct).sum(axis=1).mean())


def _of_probabilities(compute: Callable[[Scores, Labels], float]) -> Callable[[Answers], float]:
    def value(answers: Answers) -> float:
        if answers.probabilities is None:
            raise ValueError(f"{compute.__name__} needs the probabilities of classes")
        return compute(answers.probabilities, answers.labels)

    return value


def _of_predictions(compute: Callable[[Labels, Labels], float]) -> Callable[[Answers], float]:
    return lambda answers: compute(answers.predictions, answers.labels)


def _metric(name: str, compute: Callable[[Answers], float], *, needs_scores: bool = False) -> Metric:
    """A metric that `metric_names` describes."""
    info = next(info for info in TASK_METRICS if info.name == name)
    return Metric(
        name=name,
        compute=compute,
        maximize=info.maximize is not False,
        unit=info.unit,
        needs_scores=needs_scores,
        description=info.description,
    )


def _mean_of(*metrics: Metric) -> Metric:
    def mean(answers: Answers) -> float:
        return sum(metric.compute(answers) for metric in metrics) / len(metrics)

    return _metric("mean", mean)


_ACCURACY, _MATTHEWS, _F1, _PEARSON, _SPEARMAN = (
    _metric(compute.__name__, _of_predictions(compute)) for compute in (accuracy, matthews, f1, pearson, spearman)
)

#: how well the probabilities of a classification match how often it is correct
CALIBRATION_METRICS = (
    _metric("ece", _of_probabilities(expected_calibration_error), needs_scores=True),
    _metric("brier", _of_probabilities(brier), needs_scores=True),
)
#: `accuracy`, and the calibration
ACCURACY_METRICS = (_ACCURACY, *CALIBRATION_METRICS)
#: `matthews`, `accuracy`, and the calibration
MATTHEWS_METRICS = (_MATTHEWS, _ACCURACY, *CALIBRATION_METRICS)
#: `accuracy`, `f1` of class 1, their `mean`, and the calibration
ACCURACY_F1_METRICS = (_ACCURACY, _F1, _mean_of(_ACCURACY, _F1), *CALIBRATION_METRICS)
#: `pearson`, `spearman` and their `mean`, for regression
CORRELATION_METRICS = (_PEARSON, _SPEARMAN, _mean_of(_PEARSON, _SPEARMAN))


def _constant(values: Labels) -> bool:
    return bool(values.size == 0 or (values == values[0]).all())


def _same_length(predictions: Labels, labels: Labels) -> None:
    # numpy would broadcast (N, 1) against (N,) and give a plausible wrong number
    if predictions.shape != labels.shape or predictions.ndim != 1 or predictions.size == 0:
        raise ValueError(f"predictions {predictions.shape} and labels {labels.shape} must be equal, (N,), N > 0")


def _correlation(compute: Callable[[Labels, Labels], Any], predictions: Labels, labels: Labels) -> float:
    _same_length(predictions, labels)
    if _constant(predictions) or _constant(labels):
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nearly constant scores: the result is imprecise, but correctly near 0
        value = compute(predictions.astype(np.float64), labels.astype(np.float64)).statistic
    return float(100.0 * np.clip(value, -1.0, 1.0))
