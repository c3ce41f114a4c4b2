"""What the nine tasks are: columns, classes, metrics, validation sets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from attrs import frozen

from bebertlab.api import (
    VALIDATION,
    Metrics,
    accuracy_f1_metrics,
    accuracy_metrics,
    correlation_metrics,
    matthews_metrics,
)

TaskName = Literal["cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli"]


@frozen(kw_only=True)
class Entry:
    """One task of the benchmark."""

    text: str  #: column of the (first) text
    pair: str | None = None  #: column of the second text
    classes: tuple[str, ...] = ()  #: in label order; empty for regression
    metrics: Metrics = accuracy_metrics
    score: str = "accuracy"  #: the metric that models are chosen by
    validation: Mapping[str, str] = MappingProxyType(
        {VALIDATION: "validation"}
    )  #: split of the task to split of the data


_ENTAILMENT = ("entailment", "not_entailment")
_SAME = ("not_equivalent", "equivalent")

CATALOGUE: Mapping[TaskName, Entry] = MappingProxyType(
    {
        "cola": Entry(
            text="sentence", classes=("unacceptable", "acceptable"), metrics=matthews_metrics, score="matthews"
        ),
        "sst2": Entry(text="sentence", classes=("negative", "positive")),
        "mrpc": Entry(text="sentence1", pair="sentence2", classes=_SAME, metrics=accuracy_f1_metrics),
        "qqp": Entry(
            text="question1", pair="question2", classes=("not_duplicate", "duplicate"), metrics=accuracy_f1_metrics
        ),
        "stsb": Entry(text="sentence1", pair="sentence2", metrics=correlation_metrics, score="mean"),
        "mnli": Entry(
            text="premise",
            pair="hypothesis",
            classes=("entailment", "neutral", "contradiction"),
            validation=MappingProxyType(
                {VALIDATION: "validation_matched", "validation_mismatched": "validation_mismatched"}
            ),
        ),
        "qnli": Entry(text="question", pair="sentence", classes=_ENTAILMENT),
        "rte": Entry(text="sentence1", pair="sentence2", classes=_ENTAILMENT),
        "wnli": Entry(text="sentence1", pair="sentence2", classes=_ENTAILMENT),
    }
)
