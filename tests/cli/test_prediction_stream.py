from __future__ import annotations

import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from bebertlab.classifier import TextClassifier, load_model
from bebertlab.cli import prediction_stream
from bebertlab.cli.prediction_format import row_format
from bebertlab.cli.prediction_stream import PredictionStream, record_batches
from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import set_maximum_tokens
from bebertlab.errors import UserError
from bebertlab.model.folder import save_model
from bebertlab.registry.manager import load_plugins
from bebertlab.study.interrupts import Interrupts
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab.text_input.record import Record
from bebertlab.text_input.source import read_stream


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task, path = tiny_task(), tmp_path_factory.mktemp("model")
    save_model(tiny_model(task), path, OptionsCodec(load_plugins().registry), classes=task.classes)
    tokenizer = tiny_tokenizer(path)
    set_maximum_tokens(tokenizer, 6)
    return tokenizer


@pytest.fixture(scope="module")
def classifier(folder: Path) -> TextClassifier:
    return load_model(folder)


class Written:
    """A stream of predictions over records, and the rows that it wrote."""

    def __init__(self, classifier: TextClassifier, *, stop: bool = True) -> None:
        self.parts: list[str] = []
        self.interrupts = Interrupts()
        self.stream = PredictionStream(
            classifier=classifier,
            rows=row_format("jsonl", classifier.classes, errors=not stop),
            source=read_stream(io.BytesIO(), "input", "text", ()),
            write=self.write,
            interrupts=self.interrupts,
            stop=stop,
        )

    def write(self, text: str) -> None:
        self.parts.append(text)

    @property
    def rows(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in "".join(self.parts).splitlines()]


def records(*texts: str | None) -> list[Record]:
    return [
        Record(number=number, problem="broken") if text is None else Record(number=number, texts=(text,))
        for number, text in enumerate(texts, start=1)
    ]


def test_rows_are_the_predictions_in_order(classifier: TextClassifier) -> None:
    written, texts = Written(classifier), ("good film", "the plot was bad", "a")
    written.stream.start()
    written.stream.process(records(*texts[:2]))
    written.stream.process(records(*texts[2:]))
    assert [row["label"] for row in written.rows] == classifier.predict(texts)
    probabilities = [list(row["probabilities"].values()) for row in written.rows]  # type: ignore[attr-defined]
    assert probabilities == pytest.approx(classifier.predict_proba(texts), abs=1e-6)
    assert (len(written.parts), written.stream.written, written.stream.warnings()) == (2, 3, [])


def test_pairs_are_classified_as_pairs(classifier: TextClassifier) -> None:
    written = Written(classifier)
    written.stream.process([Record(number=1, texts=("good", "bad")), Record(number=2, texts=("a", "film"))])
    probabilities = [list(row["probabilities"].values()) for row in written.rows]  # type: ignore[attr-defined]
    assert probabilities == pytest.approx(classifier.predict_proba(["good", "a"], ["bad", "film"]), abs=1e-6)


def test_a_problem_stops_after_the_rows_before_it(classifier: TextClassifier) -> None:
    written = Written(classifier)
    with pytest.raises(UserError, match=r"^input, line 3: broken$"):
        written.stream.process(records("good", "bad", None, "a"))
    assert (len(written.rows), written.stream.written) == (2, 2)


def test_a_problem_has_a_row_where_the_stream_goes_on(classifier: TextClassifier) -> None:
    written = Written(classifier, stop=False)
    written.stream.process(records(None, "good", None))
    written.stream.process(records(None))
    assert [row["label"] for row in written.rows] == [None, *classifier.predict(["good"]), None, None]
    assert written.rows[2]["error"] == "line 3: broken"
    assert written.stream.warnings() == ["3 of 4 inputs without a prediction; the first is line 1: broken"]


def test_an_interrupt_waits_until_rows_are_written_and_counted(classifier: TextClassifier) -> None:
    written = Written(classifier)
    with written.interrupts, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # outside of writing, at once
    assert written.stream.written == 0

    class Interrupted(Written):
        def write(self, text: str) -> None:
            signal.raise_signal(signal.SIGINT)
            super().write(text)

    written = Interrupted(classifier)
    with written.interrupts, pytest.raises(KeyboardInterrupt):
        written.stream.process(records("good", "bad"))
    assert (len(written.rows), written.stream.written) == (2, 2)


def test_truncated_and_empty_texts_are_counted_over_all_batches(classifier: TextClassifier) -> None:
    written = Written(classifier)
    written.stream.process(records("the plot was bad and so", ""))
    written.stream.process(records("the cast was good and so", " \t", "good"))
    assert written.stream.warnings() == [
        "2 of 5 inputs truncated to 6 tokens",
        "2 of 5 inputs with an empty text, classified as it is",
    ]


def test_texts_without_tokens_are_problems(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    Tokenizer(models.BPE({"v": 0}, [])).save(str(tmp_path / "tokenizer.json"))
    written = Written(load_model(tmp_path), stop=False)
    written.stream.process(records("good", "v", ""))
    assert [row.get("error") for row in written.rows] == [
        "line 1: the tokenizer gives no tokens for it",
        None,
        "line 3: the tokenizer gives no tokens for it",
    ]


def test_values_that_are_not_finite_are_problems(folder: Path) -> None:
    classifier = load_model(folder)
    (model,) = classifier._members
    for parameter in model.network.parameters():
        parameter.data.fill_(np.inf)
    with pytest.raises(UserError, match=r"line 1: the model gives values that are not finite for it$"):
        Written(classifier).stream.process(records("good"))


def test_batches_are_limited_in_records_and_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_stream, "LARGEST_BATCH", 10)
    texts = ["a"] * 5 + ["b" * 9, "cc", "d" * 30, "e", ""]
    sizes = [[record.number for record in batch] for batch in record_batches(iter(records(*texts)), 2)]
    assert sizes == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    assert [len(batch) for batch in record_batches(iter(records(*texts)), 4)] == [4, 2, 2, 2]
    assert list(record_batches([], 4)) == []


def test_the_records_before_an_error_come_first() -> None:
    def damaged() -> Iterator[Record]:
        yield from records("a", "b", "c")
        raise UserError("damaged")

    parts = record_batches(damaged(), 2)
    assert [len(next(parts)), len(next(parts))] == [2, 1]
    with pytest.raises(UserError, match="damaged"):
        next(parts)
