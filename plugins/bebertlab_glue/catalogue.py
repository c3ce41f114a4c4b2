"""The nine tasks: columns, classes, metrics, validation sets.

Sources: columns and sizes are those of the hub's `nyu-mll/glue`. The order of the classes is that of the papers' code
(BinaryBERT's `glue_processors`), so that a classifier trained with it fits; only MNLI differs from the hub there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from attrs import frozen

from bebertlab.api import (
    ACCURACY_F1_METRICS,
    ACCURACY_METRICS,
    CORRELATION_METRICS,
    MATTHEWS_METRICS,
    TRAIN,
    VALIDATION,
    Metric,
)

TaskName = Literal["cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli"]


@frozen(kw_only=True)
class CatalogueEntry:
    """One task of the benchmark."""

    text: str  #: column of the (first) text
    pair: str | None = None  #: column of the second text
    classes: tuple[str, ...] = ()  #: in label order; empty for regression
    hub_classes: tuple[str, ...] = ()  #: in the order of the hub's labels, if it differs
    scores: tuple[float, float] = (0.0, 5.0)  #: lowest and highest label, for regression
    metrics: tuple[Metric, ...] = ACCURACY_METRICS
    score: str = "accuracy"  #: the metric that models are chosen by
    sizes: Mapping[str, int]  #: examples of the official sets by the data's names, train first

    @property
    def validation(self) -> Mapping[str, str]:
        """Validation splits of the task to sets of the data; the first is `validation`."""
        first, *others = (name for name in self.sizes if name != TRAIN)
        return {VALIDATION: first, **{name: name for name in others}}

    @property
    def stored_classes(self) -> tuple[str, ...]:
        """Classes by the numbers that the data has in its column `label`."""
        return self.hub_classes or self.classes


def _sizes(train: int, validation: int) -> Mapping[str, int]:
    return MappingProxyType({TRAIN: train, VALIDATION: validation})


_SENTENCES = ("sentence1", "sentence2")

CATALOGUE: Mapping[TaskName, CatalogueEntry] = MappingProxyType(
    {
        "cola": CatalogueEntry(
            text="sentence",
            classes=("unacceptable", "acceptable"),
            metrics=MATTHEWS_METRICS,
            score="matthews",
            sizes=_sizes(8551, 1043),
        ),
        "sst2": CatalogueEntry(text="sentence", classes=("negative", "positive"), sizes=_sizes(67349, 872)),
        "mrpc": CatalogueEntry(
            text=_SENTENCES[0],
            pair=_SENTENCES[1],
            classes=("not_equivalent", "equivalent"),
            metrics=ACCURACY_F1_METRICS,
            sizes=_sizes(3668, 408),
        ),
        "qqp": CatalogueEntry(
            text="question1",
            pair="question2",
            classes=("not_duplicate", "duplicate"),
            metrics=ACCURACY_F1_METRICS,
            sizes=_sizes(363846, 40430),
        ),
        "stsb": CatalogueEntry(
            text=_SENTENCES[0],
            pair=_SENTENCES[1],
            metrics=CORRELATION_METRICS,
            score="mean",
            sizes=_sizes(5749, 1500),
        ),
        "mnli": CatalogueEntry(
            text="premise",
            pair="hypothesis",
            classes=("contradiction", "entailment", "neutral"),
            hub_classes=("entailment", "neutral", "contradiction"),
            sizes=MappingProxyType({TRAIN: 392702, "validation_matched": 9815, "validation_mismatched": 9832}),
        ),
        "qnli": CatalogueEntry(
            text="question", pair="sentence", classes=("entailment", "not_entailment"), sizes=_sizes(104743, 5463)
        ),
        "rte": CatalogueEntry(
            text=_SENTENCES[0], pair=_SENTENCES[1], classes=("entailment", "not_entailment"), sizes=_sizes(2490, 277)
        ),
        "wnli": CatalogueEntry(
            text=_SENTENCES[0], pair=_SENTENCES[1], classes=("not_entailment", "entailment"), sizes=_sizes(635, 71)
        ),
    }
)
