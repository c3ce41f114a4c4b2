"""Tasks: data, splits and metrics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from bebertlab.interfaces.options import Options

TRAIN = "train"  #: trained on
SELECT = "select"  #: carved from the training data; checkpoints and member weights are chosen on it
VALIDATION = "validation"  #: reported, never chosen on; further ones are named `validation_*`

Labels = NDArray[Any]
Metrics = Callable[[Labels, Labels], Mapping[str, float]]


@frozen(kw_only=True, eq=False)
class Split:
    """Examples of one role, in a fixed order."""

    ids: tuple[str, ...]  #: unique over all splits of the task
    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None  #: second texts; None for tasks of single sentences
    labels: Labels  #: (N,) int64 classes, or float32 for regression
    #: (N,) names of what stays on one side of train and select, such as the sentence of a phrase; None: unknown
    groups: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64]) -> Split:
        """Some examples, in the order given."""

        def pick(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(column[row] for row in rows.tolist())

        return Split(
            ids=pick(self.ids),
            texts=pick(self.texts),
            pairs=None if self.pairs is None else pick(self.pairs),
            labels=self.labels[rows],
            groups=None if self.groups is None else pick(self.groups),
        )


@frozen(kw_only=True, eq=False)
class Task:
    """A loaded task."""

    name: str  #: for people, e.g. "glue/cola"
    classes: tuple[str, ...]  #: names of the classes in label order; empty for regression
    splits: Mapping[str, Split]  #: at least train, select and validation
    metrics: Metrics  #: (predictions, labels), both (N,), to values by name, each in percent of the best value
    score: str  #: the metric that `score` repeats, the same name for every task
    digest: str  #: sha256 of everything above that decides a result
    generated: bool = field(default=False)  #: the text is made up by a grammar
    #: the classes in the order of the numbers that the data itself has for them, where it is another than `classes`
    data_order: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()  #: sentences on the data that whoever reads a result must know

    @property
    def outputs(self) -> int:
        """Columns of the logits: the number of classes, 1 for regression."""
        return len(self.classes) or 1

    def predict(self, scores: NDArray[np.floating[Any]]) -> Labels:
        """(N, C) scores to (N,) predictions: the arg max (the lowest class on a tie), or column 0 for regression."""
        return scores.argmax(axis=1) if self.classes else scores[:, 0]

    def evaluate(self, split: str, scores: NDArray[np.floating[Any]]) -> dict[str, float]:
        """Metrics of (N, C) scores over a whole split in dataset order, with the main one repeated as `score`."""
        values = dict(self.metrics(self.predict(scores), self.splits[split].labels))
        return {"score": values[self.score], **values}


@frozen(kw_only=True)
class TaskOptions(Options):
    """What YAML says of a task."""

    role: ClassVar[str] = "task"

    @abstractmethod
    def load(self) -> Task:
        """Read or generate the data.

        Raises:
            EnvironmentFault: a folder, split or hub is not there.
            UserError: a label outside the classes, an example without a text, a repeated id.
        """
