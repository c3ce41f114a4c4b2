from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import count

import attrs
import numpy as np
import pytest
from attrs import frozen

from bebertlab.interfaces.task import GENERATED, SELECT, TRAIN, VALIDATION, Answers, Metric, Split, Task, TaskOptions
from bebertlab.testing.contract import ContractError
from bebertlab.testing.task import check_task

Spoil = Callable[[Task], Task]


def _split(name: str, size: int, *, regression: bool) -> Split:
    labels = np.arange(size) % 5 * 0.5 if regression else np.arange(size) % 2
    return Split(
        ids=tuple(f"{name}-{i}" for i in range(size)),
        texts=tuple(f"{name} text {i}" for i in range(size)),
        pairs=None,
        labels=labels.astype(np.float32 if regression else np.int64),
    )


def _accuracy(answers: Answers) -> float:
    return float(100 * (answers.predictions == answers.labels).mean())


def _closeness(answers: Answers) -> float:
    return float(100 - 10 * np.abs(answers.predictions - answers.labels).mean())


def _confidence(answers: Answers) -> float:
    assert answers.probabilities is not None
    return float(answers.probabilities.max(axis=1).mean())


def _first(answers: Answers) -> float:
    assert answers.scores is not None
    return float(answers.scores[0, 0])


def _with(*metrics: Metric) -> Spoil:
    return lambda task: attrs.evolve(task, metrics=(*task.metrics, *metrics))


def _instead(compute: Callable[[Answers], float], *, needs_scores: bool = False) -> Spoil:
    return lambda task: attrs.evolve(
        task, metrics=(Metric(name=task.score, compute=compute, needs_scores=needs_scores),)
    )


@frozen(kw_only=True)
class Numbered(TaskOptions):
    kind = "numbered"
    regression: bool = False
    spoil: Spoil = lambda task: task

    def load(self) -> Task:
        names = {TRAIN: 20, SELECT: 8, VALIDATION: 10, "validation_far": 6}
        return self.spoil(
            Task(
                name="numbered",
                classes=() if self.regression else ("even", "odd"),
                splits={name: _split(name, size, regression=self.regression) for name, size in names.items()},
                metrics=(Metric(name="closeness", compute=_closeness),)
                if self.regression
                else (Metric(name="accuracy", compute=_accuracy),),
                score="closeness" if self.regression else "accuracy",
                caveats=(GENERATED,),
            )
        )


def _change(name: str, **changes: object) -> Spoil:
    def spoil(task: Task) -> Task:
        split = attrs.evolve(task.splits[name], **changes)  # type: ignore[arg-type]  # names of fields
        return attrs.evolve(task, splits={**task.splits, name: split})

    return spoil


def _shared_group(task: Task) -> Task:
    groups = {name: tuple(f"{name} {i}" for i in range(len(task.splits[name]) - 1)) for name in (TRAIN, SELECT)}
    return _change(SELECT, groups=(*groups[SELECT], "text 7"))(_change(TRAIN, groups=(*groups[TRAIN], "text 7"))(task))


def _without(name: str) -> Spoil:
    return lambda task: attrs.evolve(task, splits={key: split for key, split in task.splits.items() if key != name})


def _warning(answers: Answers) -> float:
    if (answers.predictions == answers.predictions[0]).all():
        warnings.warn("constant", RuntimeWarning, stacklevel=1)
    return _accuracy(answers)


def _by_position(answers: Answers) -> float:
    weights = np.arange(len(answers.labels)) + 1.0
    return float(100 * np.average(answers.predictions == answers.labels, weights=weights))


@pytest.mark.parametrize("regression", [False, True])
def test_a_complete_task_passes(regression: bool) -> None:
    check_task(Numbered(regression=regression))


def test_metrics_may_read_probabilities_and_have_a_unit() -> None:
    confidence = Metric(name="confidence", compute=_confidence, needs_scores=True)
    check_task(Numbered(spoil=_with(confidence, Metric(name="count", compute=lambda answers: 1e3, unit="examples"))))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without(SELECT), "task 'numbered': it has no split select"),
        (
            lambda task: attrs.evolve(task, splits={**task.splits, "test": task.splits[TRAIN]}),
            "names of other splits must begin with validation_: test",
        ),
        (lambda task: attrs.evolve(task, classes=("even", "even")), "its classes are"),
        (lambda task: attrs.evolve(task, data_order=("odd",)), r"classes are .*, those of data_order \('odd',\)"),
        (_change(TRAIN, texts=("a",)), "train has 20 ids and 1 texts"),
        (_change(SELECT, texts=("a", " ", *"cdefgh")), "select has a blank text at index 1"),
        (_change(SELECT, groups=("a",)), "select has 8 ids and 1 groups"),
        (_shared_group, "train and select share 1 groups, such as 'text 7'"),
        (_change(VALIDATION, pairs=tuple("abcdefghij")), "validation and train differ in whether they have pairs"),
        (_change(TRAIN, labels=np.zeros((20, 1), np.int64)), r"labels of train have shape \(20, 1\)"),
        (_change(TRAIN, labels=np.zeros(20, np.int32)), "int32; classes are int64"),
        (_change(VALIDATION, labels=np.full(10, 2)), "labels of validation are outside of 0 to 1"),
        (_change(VALIDATION, labels=np.full(10, -1)), "labels of validation are outside of 0 to 1"),
        (_change(TRAIN, labels=np.zeros(20, np.int64)), "only 1 of 2 classes occur in train"),
        (_change(SELECT, ids=tuple(f"train-{i}" for i in range(8))), "an id occurs twice"),
        (_change(SELECT, texts=tuple(f"train text {i}" for i in range(8))), "train and select share 8 texts"),
        (_change(VALIDATION, texts=tuple(f"train text {i}" for i in range(10))), "train and validation share 10"),
        (lambda task: attrs.evolve(task, score="matthews"), "score 'matthews' is not one of its metrics: accuracy"),
        (_instead(lambda answers: 1.0), "score 1.0, expected 100"),
        (_instead(_accuracy, needs_scores=True), "main metric 'accuracy' must not need scores"),
        (_instead(_warning), "constant predictions of train cause a warning: constant"),
        (_instead(_by_position), "metrics of train depend on the order"),
        (_with(Metric(name="first", compute=_first, needs_scores=True)), "metrics of train depend on the order"),
        (_with(Metric(name="accuracy", compute=_accuracy)), "two of its metrics have one name"),
        (_with(Metric(name="big", compute=lambda answers: 1e3)), "is 1000.0, expected a percentage"),
        (_with(Metric(name="nan", compute=lambda answers: np.nan, unit="")), "is nan, expected a finite number"),
    ],
)
def test_a_broken_task_is_rejected(spoil: Spoil, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_task(Numbered(spoil=spoil))


def _paired(task: Task, second: str) -> Task:
    splits = {name: attrs.evolve(split, pairs=split.texts) for name, split in task.splits.items()}
    splits[SELECT] = attrs.evolve(splits[SELECT], pairs=(second, *splits[SELECT].texts[1:]))
    return attrs.evolve(task, splits=splits)


def test_one_text_of_a_pair_may_be_empty() -> None:
    check_task(Numbered(spoil=lambda task: _paired(task, "")))
    with_empty_text = _change(SELECT, texts=("", *"bcdefgh"))
    with pytest.raises(ContractError, match="select has a blank text at index 0"):
        check_task(Numbered(spoil=lambda task: with_empty_text(_paired(task, " "))))


def test_scores_must_be_finite_numbers_of_single_precision() -> None:
    with pytest.raises(ContractError, match="float64; scores are float32"):
        check_task(Numbered(regression=True, spoil=_change(TRAIN, labels=np.zeros(20))))
    with pytest.raises(ContractError, match="not all finite"):
        check_task(Numbered(regression=True, spoil=_change(TRAIN, labels=np.full(20, np.nan, np.float32))))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda task, load: attrs.evolve(task, classes=("even", f"odd {load}")),
            "other classes or another main metric",
        ),
        (lambda task, load: _change(TRAIN, texts=tuple(f"{load} {i}" for i in range(20)))(task), "another train"),
        (lambda task, load: _change(SELECT, labels=(np.arange(8) + load) % 2)(task), "another select"),
    ],
)
def test_loading_twice_must_give_the_same(spoil: Callable[[Task, int], Task], message: str) -> None:
    loads = count()
    with pytest.raises(ContractError, match=f"loading it again gives {message}"):
        check_task(Numbered(spoil=lambda task: spoil(task, next(loads))))


def test_real_data_may_share_texts_with_its_validation_set_but_not_with_select() -> None:
    same = tuple(f"train text {i}" for i in range(10))
    check_task(Numbered(spoil=lambda task: attrs.evolve(_change(VALIDATION, texts=same)(task), caveats=())))
    with pytest.raises(ContractError, match="train and select share"):
        check_task(Numbered(spoil=lambda task: attrs.evolve(_change(SELECT, texts=same[:8])(task), caveats=())))
