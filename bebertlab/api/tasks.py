"""Data: tasks, their splits, and the metrics of the field."""

from __future__ import annotations

from bebertlab.data.metrics import (
    ACCURACY_F1_METRICS,
    ACCURACY_METRICS,
    CALIBRATION_METRICS,
    CORRELATION_METRICS,
    MATTHEWS_METRICS,
)
from bebertlab.data.select import split_off_select
from bebertlab.interfaces.task import (
    GENERATED,
    SELECT,
    TRAIN,
    VALIDATION,
    Answers,
    Caveat,
    Labels,
    Metric,
    Scores,
    Split,
    Task,
    TaskOptions,
)

__all__ = [
    "ACCURACY_F1_METRICS",
    "ACCURACY_METRICS",
    "CALIBRATION_METRICS",
    "CORRELATION_METRICS",
    "GENERATED",
    "MATTHEWS_METRICS",
    "SELECT",
    "TRAIN",
    "VALIDATION",
    "Answers",
    "Caveat",
    "Labels",
    "Metric",
    "Scores",
    "Split",
    "Task",
    "TaskOptions",
    "split_off_select",
]
