"""Texts of a stream become rows of predictions, a batch at a time and in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from attrs import define, evolve, field

from bebertlab.classifier import TextClassifier
from bebertlab.cli.prediction_format import RowFormat
from bebertlab.errors import UserError
from bebertlab.interfaces.task import Scores
from bebertlab.study.interrupts import Interrupts
from bebertlab.text_input.record import PAIR, Record, TextSource

#: after so many characters a batch is complete, however few texts it has, so that long ones do not fill the memory
LARGEST_BATCH = 2**22


@define(kw_only=True)
class PredictionStream:
    """Classifies batches of records, writes a row for each, and counts what users should know."""

    classifier: TextClassifier
    rows: RowFormat
    source: TextSource
    write: Callable[[str], None]
    interrupts: Interrupts  #: wait until rows are written and counted
    stop: bool = True  #: at the first record with a problem; otherwise its row has no prediction
    written: int = field(default=0, init=False)  #: rows
    _blank: int = field(default=0, init=False)
    _truncated: int = field(default=0, init=False)
    _problems: int = field(default=0, init=False)
    _predicted: int = field(default=0, init=False)
    _members: int = field(default=0, init=False)
    _first_problem: str = field(default="", init=False)

    def start(self) -> None:
        """Write the header."""
        if header := self.rows.header():
            self.write(header)

    def process(self, records: Sequence[Record]) -> None:
        """Write the rows of the next records.

        Raises:
            UserError: a record has a problem, and the stream stops at problems; the rows before it are written.
        """
        checked, predictions = self._predict(records)
        texts: list[str] = []
        error: UserError | None = None
        for record, prediction in zip(checked, predictions, strict=True):
            if prediction is not None:
                texts.append(self.rows.row(prediction))
                continue
            place = f"{self.source.unit} {record.number}"
            if self.stop:
                error = UserError(f"{self.source.name}, {place}: {record.problem}")
                break
            self._first_problem = self._first_problem or f"{place}: {record.problem}"
            self._problems += 1
            texts.append(self.rows.missing(f"{place}: {record.problem}"))
        if texts:
            with self.interrupts.shielded():
                self.write("".join(texts))
                self.written += len(texts)
        if error is not None:
            raise error

    def warnings(self) -> list[str]:
        """What was not as usual with the texts that were read, a line each."""
        counts = [
            (self._problems, f"without a prediction; the first is {self._first_problem}"),
            (self._truncated, f"truncated to {self.classifier.maximum_tokens} tokens"),
            (self._blank, "with an empty text, classified as it is"),
        ]
        return [f"{count} of {self.written} inputs {text}" for count, text in counts if count]

    @property
    def members_asked(self) -> float | None:
        """The mean number of members that were asked for an input; None without inputs."""
        return self._members / self._predicted if self._predicted else None

    def _predict(self, records: Sequence[Record]) -> tuple[list[Record], list[Scores | None]]:
        """The records, some with a problem that shows only now, and the prediction of each that has none."""
        usable = [index for index, record in enumerate(records) if record.problem is None]
        texts = [records[index].texts for index in usable]
        pairs = [second for _, second in texts] if texts and len(texts[0]) == PAIR else None
        tokens = self.classifier.tokenize([text[0] for text in texts], pairs)
        if not tokens.lengths.all():
            bad = {usable[index] for index in np.flatnonzero(tokens.lengths == 0)}
            problem = "the tokenizer gives no tokens for it"
            return self._predict([evolve(r, problem=problem) if i in bad else r for i, r in enumerate(records)])
        answers = self.classifier.answers_of(tokens)
        logits = answers.scores
        self._predicted += len(logits)
        self._members += int(answers.members.sum())
        self._truncated += tokens.truncated
        self._blank += sum(not all(map(str.strip, text)) for text in texts)
        checked = list(records)
        predictions: list[Scores | None] = [None] * len(records)
        values = self.classifier.probabilities(logits) if self.classifier.classes else logits
        for index, row in zip(usable, values, strict=True):
            if np.isfinite(row).all():
                predictions[index] = row
            else:
                checked[index] = evolve(records[index], problem="the model gives values that are not finite for it")
        return checked, predictions


def record_batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """At most `size` records at a time; those before an error come first.

    Raises:
        UserError: the records end with one.
    """
    batch: list[Record] = []
    characters = 0
    try:
        for record in records:
            batch.append(record)
            characters += sum(map(len, record.texts))
            if len(batch) == size or characters >= LARGEST_BATCH:
                yield batch
                batch, characters = [], 0
    except UserError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
