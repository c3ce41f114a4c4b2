from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.task import GENERATED, VALIDATION, Answers, Metric, Scores, Split, Task


def task(*classes: str, further: tuple[Metric, ...] = ()) -> Task:
    labels = np.array([0, 1, 1]) if classes else np.array([0.5, 1.0, 2.0], dtype=np.float32)
    split = Split(ids=("a", "b", "c"), texts=("x", "y", "z"), pairs=None, labels=labels)
    return Task(
        name="test",
        classes=classes,
        splits={VALIDATION: split},
        metrics=(
            Metric(name="error", compute=lambda answers: float(np.abs(answers.predictions - answers.labels).sum())),
            Metric(name="size", compute=lambda answers: len(answers.labels)),
            *further,
        ),
        score="error",
    )


def test_a_class_is_the_highest_logit_and_the_lowest_class_of_a_tie() -> None:
    scores = np.array([[1.0, 0.0], [2.0, 2.0], [0.0, 1.0]])
    assert task("no", "yes").predict(scores).tolist() == [0, 0, 1]


def test_a_regression_prediction_is_the_only_column() -> None:
    assert (task("no", "yes").outputs, task().outputs) == (2, 1)
    assert task().predict(np.array([[0.25], [1.0]])).tolist() == [0.25, 1.0]


def test_the_main_metric_is_repeated_as_score() -> None:
    scores = np.array([[1.0, 0.0], [2.0, 2.0], [0.0, 1.0]])
    assert task("no", "yes").evaluate(VALIDATION, scores) == {"score": 1.0, "error": 1.0, "size": 3}


def _probabilities(answers: Answers) -> Scores:
    assert answers.probabilities is not None
    return answers.probabilities


def test_metrics_see_logits_as_probabilities_and_probabilities_as_they_are() -> None:
    first = Metric(name="first", compute=lambda answers: float(_probabilities(answers)[0, 1]), needs_scores=True)
    scored = task("no", "yes", further=(first,))
    scores = np.array([[0.0, np.log(3.0)], [2.0, 2.0], [0.0, 1.0]])
    assert scored.evaluate(VALIDATION, scores)["first"] == pytest.approx(0.75)
    shares = np.array([[0.5, 1.5], [0.5, 0.5], [1.0, 0.0]])
    assert scored.evaluate(VALIDATION, shares, probabilities=True)["first"] == pytest.approx(0.75)


def test_logits_far_apart_give_finite_probabilities() -> None:
    total = Metric(name="total", compute=lambda answers: float(_probabilities(answers).sum()), needs_scores=True)
    scores = np.array([[1e4, -1e4], [0.0, 0.0], [-1e4, 1e4]], dtype=np.float32)
    assert task("no", "yes", further=(total,)).evaluate(VALIDATION, scores)["total"] == pytest.approx(3.0)


def test_a_regression_has_scores_and_no_probabilities() -> None:
    none = Metric(name="none", compute=lambda answers: float(answers.probabilities is None), needs_scores=True)
    assert task(further=(none,)).evaluate(VALIDATION, np.zeros((3, 1)))["none"] == 1.0


def test_predictions_alone_have_no_metric_that_needs_scores() -> None:
    first = Metric(name="first", compute=lambda answers: float(_probabilities(answers)[0, 1]), needs_scores=True)
    values = task("no", "yes", further=(first,)).evaluate_predictions(VALIDATION, np.array([0, 1, 0]))
    assert values == {"score": 1.0, "error": 1.0, "size": 3}


@pytest.mark.parametrize("classes", [(), ("no", "yes")])
def test_ideal_scores_predict_the_labels(classes: tuple[str, ...]) -> None:
    ideal = task(*classes)
    assert (ideal.predict(ideal.ideal_scores(VALIDATION)) == ideal.splits[VALIDATION].labels).all()


def test_a_caveat_marks_generated_data() -> None:
    assert not task("no", "yes").generated
    assert evolve(task("no", "yes"), caveats=(GENERATED,)).generated


def test_the_length_of_a_split_is_that_of_its_ids() -> None:
    assert len(task("no", "yes").splits[VALIDATION]) == 3


def split(
    texts: tuple[str, ...] = ("a", "b"),
    pairs: tuple[str, ...] | None = None,
    labels: tuple[float, ...] = (0, 1),
    dtype: str = "int64",
) -> Split:
    return Split(
        ids=tuple(f"train-{i}" for i in range(len(texts))), texts=texts, pairs=pairs, labels=np.array(labels, dtype)
    )


@pytest.mark.parametrize(
    "other",
    [
        split(texts=("b", "a")),
        split(texts=("ab", "")),
        split(texts=("a\0b",), labels=(0,)),
        split(pairs=("a", "b")),
        split(pairs=("", "")),
        split(labels=(1, 0)),
        split(dtype="float32"),
        split(texts=("a", "b\ud800")),
    ],
)
def test_the_digest_of_a_split_depends_on_all_of_its_content(other: Split) -> None:
    assert other.digest != split().digest
    assert (other.text_digest != split().text_digest) == ((other.texts, other.pairs) != (split().texts, split().pairs))
    same, changed = (
        evolve(task("no", "yes"), splits={"train": train, "select": split()}) for train in (split(), other)
    )
    assert changed.digest != same.digest


def test_texts_of_pairs_are_hashed_separately() -> None:
    assert split(("a", "b"), ("c", "d")).text_digest != split(("a", "b", "c", "d")).text_digest
    assert split(("a", "b"), ("c", "d")).text_digest != split(("c", "d"), ("a", "b")).text_digest


def test_ids_and_the_byte_order_of_labels_do_not_change_the_digest() -> None:
    assert evolve(split(), ids=("x", "y"), labels=split().labels.astype(">i8")).digest == split().digest


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ("yes", "no")},
        {"classes": ()},
        {"data_order": ("yes", "no")},
        {"score": "size"},
        {"splits": {"validation_other": task("no", "yes").splits[VALIDATION]}},
        {"splits": {}},
    ],
)
def test_the_digest_of_a_task_depends_on_classes_main_metric_and_names_of_splits(change: dict[str, object]) -> None:
    base = task("no", "yes")
    assert evolve(base, **change).digest != base.digest  # type: ignore[arg-type] # names of fields


def test_the_digest_of_a_task_ignores_the_order_of_splits_and_its_name() -> None:
    base = task("no", "yes")
    item, other = split(), split(labels=(1, 1))
    first = evolve(base, splits={"train": item, "select": other})
    assert evolve(first, splits={"select": other, "train": item}, name="other").digest == first.digest


def test_a_digest_is_computed_once_from_the_content_and_cannot_be_declared() -> None:
    base = task("no", "yes")
    assert base.digest is base.digest
    with pytest.raises(TypeError, match="digest"):
        evolve(base, digest="mine")  # type: ignore[call-arg] # as of a plugin that still names it


def test_a_digest_is_the_same_on_every_machine() -> None:
    assert split(("\u00e9", "b"), ("c", "")).text_digest.startswith("5797d4141dc1aa87")
    assert evolve(task("no", "yes"), splits={"train": split()}).digest.startswith("8b68897b25ba4e80")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"name": "other"}, "score 'error' is not one of its metrics: other"),
        ({"needs_scores": True}, "its main metric 'error' must not need scores"),
        ({"maximize": False}, "its main metric 'error' is better where it is lower; expected one that is better where"),
        ({"unit": ""}, "its main metric 'error' has no unit; expected a percentage"),
        ({"unit": "s"}, "its main metric 'error' has the unit 's'; expected a percentage"),
    ],
)
def test_the_main_metric_must_rank_models(changes: dict[str, Any], problem: str) -> None:
    whole = task("no", "yes")
    changed = evolve(whole, metrics=(evolve(whole.metrics[0], **changes),))
    assert changed.score_problem.startswith(problem)
    assert bool(changed.score_problem) is bool(problem)


def test_values_of_metrics_are_plain_numbers() -> None:
    single = Metric(name="single", compute=lambda answers: np.float32(0.5))  # type: ignore[arg-type, return-value]
    values = task("no", "yes", further=(single,)).evaluate_predictions(VALIDATION, np.array([0, 1, 0]))
    assert {type(value) for value in values.values()} == {float}


def test_a_metric_that_raises_is_named() -> None:
    broken = Metric(name="broken", compute=lambda answers: 1 / 0)
    with pytest.raises(UserError, match=r"^task 'test': metric 'broken' raises ZeroDivisionError: division by zero$"):
        task("no", "yes", further=(broken,)).evaluate(VALIDATION, np.zeros((3, 2)))
