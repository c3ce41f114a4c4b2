"""Tasks: data, splits and metrics."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.interfaces.metric_names import PERCENT, SCORE, MetricInfo
from bebertlab.interfaces.options import Options

TRAIN = "train"  #: trained on
SELECT = "select"  #: split off from the training data; checkpoints and member weights are chosen on it
VALIDATION = "validation"  #: reported, never used for a choice; further ones are called `validation_*`

Labels = NDArray[Any]
Scores = NDArray[np.floating[Any]]


@frozen(kw_only=True)
class Caveat:
    """Something about the data of a task that every reader of its results must know."""

    kind: str  #: what tags and filters use, e.g. "unofficial-splits"
    short: str  #: a few words for a line of status, e.g. "not the official splits"
    sentence: str  #: for a report, e.g. "Not the official splits of glue/mnli: scores are not comparable ..."


#: of a task whose texts are made up by a grammar
GENERATED = Caveat(
    kind="generated",
    short="generated data",
    sentence="Generated data: a grammar makes up the texts. These results say nothing about real language.",
)


@frozen(kw_only=True, eq=False)
class Answers:
    """What a model, or a rule without one, answers on N examples, and the correct answers."""

    predictions: Labels  #: (N,) classes, or values for regression
    labels: Labels  #: (N,)
    scores: Scores | None = None  #: (N, C) as the model or the merger gives them; None where nothing has scores
    #: (N, C) of the classes, each row adds up to 1; None for regression and where nothing has scores
    probabilities: Scores | None = None


@frozen(kw_only=True)
class Metric:
    """A number that a task computes from the answers on a whole split."""

    name: str  #: e.g. "accuracy"; reported as `validation/accuracy`
    compute: Callable[[Answers], float]
    maximize: bool = True  #: whether higher is better
    unit: str = PERCENT  #: empty for a number without one
    needs_scores: bool = False  #: reads `scores` or `probabilities`: answers without a model have no such metric
    description: str = ""

    @property
    def info(self) -> MetricInfo:
        """What a report must know of it."""
        decimals = 2 if self.unit else 4
        return MetricInfo(
            name=self.name, unit=self.unit, maximize=self.maximize, decimals=decimals, description=self.description
        )


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
    metrics: tuple[Metric, ...]
    score: str  #: name of the main metric, which needs no scores; repeated as `score` for every task
    #: the classes in the order of their numbers in the original data, if that differs from `classes`
    data_order: tuple[str, ...] = ()
    caveats: tuple[Caveat, ...] = ()

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

    @property
    def generated(self) -> bool:
        """Whether a grammar makes up the texts."""
        return any(caveat.kind == GENERATED.kind for caveat in self.caveats)

    def predict(self, scores: Scores) -> Labels:
        """(N, C) scores to (N,) predictions: the arg max (the lowest class on a tie), or column 0 for regression."""
        return scores.argmax(axis=1) if self.classes else scores[:, 0]

    def ideal_scores(self, split: str) -> Scores:
        """(N, C) scores that predict the labels of a split."""
        labels = self.splits[split].labels
        return np.eye(len(self.classes))[labels] if self.classes else labels.astype(np.float64)[:, None]

    def evaluate(self, split: str, scores: Scores, *, probabilities: bool = False) -> dict[str, float]:
        """Every metric of (N, C) scores over a whole split in dataset order, with the main one repeated as `score`.

        The scores of classes are logits, or shares that add up to 1 where they are `probabilities`.
        """
        shares = None if not self.classes else _normalized(scores) if probabilities else _softmax(scores)
        return self._values(
            Answers(
                predictions=self.predict(scores),
                labels=self.splits[split].labels,
                scores=scores,
                probabilities=shares,
            )
        )

    def evaluate_predictions(self, split: str, predictions: Labels) -> dict[str, float]:
        """The metrics of (N,) predictions that no model scored; those that need scores are left out."""
        return self._values(Answers(predictions=predictions, labels=self.splits[split].labels))

    def _values(self, answers: Answers) -> dict[str, float]:
        usable = [metric for metric in self.metrics if answers.scores is not None or not metric.needs_scores]
        values = {metric.name: metric.compute(answers) for metric in usable}
        return {SCORE: values[self.score], **values}


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


def _softmax(logits: Scores) -> Scores:
    # in double precision: logits of a confident model are far apart
    powers: Scores = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
    return _normalized(powers)


def _normalized(shares: Scores) -> Scores:
    shares = shares.astype(np.float64)
    normalized: Scores = shares / shares.sum(axis=1, keepdims=True)
    return normalized


def _texts_digest(texts: Sequence[str]) -> bytes:
    """The sha256 of texts in their order.

    The lengths distinguish ["ab", "c"] from ["a", "bc"]; joining is several times faster than hashing text by text.
    """
    lengths = np.fromiter(map(len, texts), dtype="<i8", count=len(texts))
    digest = hashlib.sha256(len(texts).to_bytes(8, "little"))
    digest.update(lengths.tobytes())
    digest.update("".join(texts).encode("utf-8", "surrogatepass"))
    return digest.digest()
