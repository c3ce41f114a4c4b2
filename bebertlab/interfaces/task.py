"""Tasks: data, splits and metrics."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from bebertlab.interfaces.options import Options

TRAIN = "train"  #: trained on
SELECT = "select"  #: split off from the training data; checkpoints and member weights are chosen on it
VALIDATION = "validation"  #: reported, never used for a choice; further ones are called `validation_*`

Labels = NDArray[Any]
Metrics = Callable[[Labels, Labels], Mapping[str, float]]


@frozen(kw_only=True, eq=False)
class Split:
    """The examples of a split, in a fixed order."""

    ids: tuple[str, ...]  #: unique over all splits of the task
    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None  #: second texts; None for single texts
    labels: Labels  #: (N,) int64 classes, or float32 for regression
    #: (N,) examples of the same group stay in the same split, such as phrases of a sentence; None: unknown
    groups: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64]) -> Split:
        """The examples of these rows, in this order."""

        def pick(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(column[row] for row in rows.tolist())

        return Split(
            ids=pick(self.ids),
            texts=pick(self.texts),
            pairs=None if self.pairs is None else pick(self.pairs),
            labels=self.labels[rows],
            groups=None if self.groups is None else pick(self.groups),
        )

    @cached_property
    def text_digest(self) -> str:
        """The sha256 of the texts and pairs in order, which determine the tokens."""
        digest = hashlib.sha256(_texts_digest(self.texts))
        if self.pairs is not None:
            digest.update(_texts_digest(self.pairs))
        return digest.hexdigest()

    @cached_property
    def digest(self) -> str:
        """The sha256 of the texts, pairs and labels in order, without the ids."""
        little_endian = self.labels.astype(self.labels.dtype.newbyteorder("<"))
        digest = hashlib.sha256(f"{self.text_digest} {self.labels.dtype.name} {self.labels.shape}".encode())
        digest.update(little_endian.tobytes())
        return digest.hexdigest()


@frozen(kw_only=True, eq=False)
class Task:
    """The data and metrics of a task."""

    name: str  #: for messages and reports, e.g. "glue/cola"
    classes: tuple[str, ...]  #: names of the classes in label order; empty for regression
    splits: Mapping[str, Split]  #: at least train, select and validation
    metrics: Metrics  #: (predictions, labels), both (N,), to values by name, each in percent of the best value
    score: str  #: the metric that `score` repeats, the same name for every task
    generated: bool = field(default=False)  #: the texts come from a grammar
    #: the classes in the order of their numbers in the original data, if that differs from `classes`
    data_order: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()  #: sentences on the data that every reader of a result must know

    @cached_property
    def digest(self) -> str:
        """The sha256 of what determines results: the classes in both orders, the main metric, and the splits by name.

        It is computed from the content, once for each object; the metrics are code of the task's plugin.
        """
        splits = {name: split.digest for name, split in self.splits.items()}
        text = json.dumps([self.classes, self.data_order, self.score, splits], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def outputs(self) -> int:
        """Columns of the logits: the number of classes, 1 for regression."""
        return len(self.classes) or 1

    @property
    def has_pairs(self) -> bool:
        """Whether a split has second texts."""
        return any(split.pairs is not None for split in self.splits.values())

    def predict(self, scores: NDArray[np.floating[Any]]) -> Labels:
        """(N, C) scores to (N,) predictions: the arg max (the lowest class on a tie), or column 0 for regression."""
        return scores.argmax(axis=1) if self.classes else scores[:, 0]

    def evaluate(self, split: str, scores: NDArray[np.floating[Any]]) -> dict[str, float]:
        """Metrics of (N, C) scores over a whole split in dataset order, with the main one repeated as `score`."""
        values = dict(self.metrics(self.predict(scores), self.splits[split].labels))
        return {"score": values[self.score], **values}


@frozen(kw_only=True)
class TaskOptions(Options):
    """The options of a task."""

    role: ClassVar[str] = "task"

    @abstractmethod
    def load(self) -> Task:
        """Read or generate the data.

        Raises:
            SetupError: a folder, a split or the hub is not available.
            UserError: a label is not one of the classes, an example has no text, or an id occurs twice.
        """


def _texts_digest(texts: Sequence[str]) -> bytes:
    """The sha256 of texts in their order.

    The lengths distinguish ["ab", "c"] from ["a", "bc"]; joining is several times faster than hashing text by text.
    """
    lengths = np.fromiter(map(len, texts), dtype="<i8", count=len(texts))
    digest = hashlib.sha256(len(texts).to_bytes(8, "little"))
    digest.update(lengths.tobytes())
    digest.update("".join(texts).encode("utf-8", "surrogatepass"))
    return digest.digest()
