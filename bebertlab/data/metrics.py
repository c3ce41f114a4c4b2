"""Metrics as the GLUE tables print them: over a whole split at once, in percent of the best value.

P and L below are predictions and labels, both (N,): whole numbers for classes, scores for regression.
A prediction that never varies explains nothing: every metric but accuracy calls it 0, without a warning.
Source: GLUE, arXiv:1804.07461; scikit-learn and scipy compute.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from bebertlab.interfaces.task import Labels


def accuracy(predictions: Labels, labels: Labels) -> float:
    """Share of predictions that are right.

    >>> accuracy(np.array([1, 0, 1, 1]), np.array([1, 0, 0, 1]))
    75.0
    """
    _same_length(predictions, labels)
    return float(100.0 * np.mean(predictions == labels))


def matthews(predictions: Labels, labels: Labels) -> float:
    """Matthews' correlation of classes, -100 to 100: 0 is chance, whatever the shares of the classes.

    >>> round(matthews(np.array([1, 0, 1, 1]), np.array([1, 0, 0, 1])), 2)
    57.74
    """
    from sklearn.metrics import matthews_corrcoef

    _same_length(predictions, labels)
    if _constant(predictions) or _constant(labels):
        return 0.0  # scikit-learn says the same, but warns where both are constant
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


def accuracy_metrics(predictions: Labels, labels: Labels) -> dict[str, float]:
    """`accuracy` alone."""
    return {"accuracy": accuracy(predictions, labels)}


def matthews_metrics(predictions: Labels, labels: Labels) -> dict[str, float]:
    """`matthews` and `accuracy`."""
    return {"matthews": matthews(predictions, labels), "accuracy": accuracy(predictions, labels)}


def accuracy_f1_metrics(predictions: Labels, labels: Labels) -> dict[str, float]:
    """`accuracy`, `f1` of class 1 and their `mean`."""
    return _with_mean({"accuracy": accuracy(predictions, labels), "f1": f1(predictions, labels)})


def correlation_metrics(predictions: Labels, labels: Labels) -> dict[str, float]:
    """`pearson`, `spearman` and their `mean`."""
    return _with_mean({"pearson": pearson(predictions, labels), "spearman": spearman(predictions, labels)})


def _with_mean(values: dict[str, float]) -> dict[str, float]:
    return {**values, "mean": sum(values.values()) / len(values)}


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
        warnings.simplefilter("ignore")  # nearly constant scores: the number is rough, and rightly near 0
        value = compute(predictions.astype(np.float64), labels.astype(np.float64)).statistic
    return float(100.0 * np.clip(value, -1.0, 1.0))
