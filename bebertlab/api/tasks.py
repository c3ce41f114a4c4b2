"""Data: tasks, their splits, and the metrics of the field."""

from __future__ import annotations

from bebertlab.data.metrics import accuracy_f1_metrics, accuracy_metrics, correlation_metrics, matthews_metrics
from bebertlab.data.select import split_off_select
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Labels, Metrics, Split, Task, TaskOptions

__all__ = [
    "SELECT",
    "TRAIN",
    "VALIDATION",
    "Labels",
    "Metrics",
    "Split",
    "Task",
    "TaskOptions",
    "accuracy_f1_metrics",
    "accuracy_metrics",
    "correlation_metrics",
    "matthews_metrics",
    "split_off_select",
]
