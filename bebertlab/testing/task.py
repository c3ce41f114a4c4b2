"""The kit for tasks."""

from __future__ import annotations

import math
import warnings
from itertools import combinations

import numpy as np
from attrs import evolve

from bebertlab.interfaces.metric_names import PERCENT, SCORE
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Split, Task, TaskOptions
from bebertlab.testing.contract import ContractError, require


def check_task(options: TaskOptions) -> None:
    """Check a task; one line in a plugin's tests.

    It has the splits train, select and validation, and the names of others begin with `validation_`; no id occurs
    twice, no text or group of train is in select (in a generated task, no text is in two splits); every example has a
    text, every pair at least one; labels are classes, all of which occur in train, or finite scores; correct
    predictions score 100 by the main metric, which needs no scores; metrics of constant ones cause no warning and are
    percentages (finite, where they have another unit), and the order of the examples does not matter; loading it again
    gives the same data.

    Raises:
        ContractError: an AssertionError that says what does not hold.
    """
    try:
        task = options.load()
        _check_splits(task)
        for name, split in task.splits.items():
            _check_split(split, name, task)
        _check_apart(task)
        _check_metrics(task)
        _check_again(task, options.load())
    except ContractError as error:
        raise ContractError(f"task '{options.kind}': {error}") from None


def _check_splits(task: Task) -> None:
    missing = [name for name in (TRAIN, SELECT, VALIDATION) if name not in task.splits]
    require(not missing, f"it has no split {', '.join(missing)}")
    others = set(task.splits) - {TRAIN, SELECT, VALIDATION}
    wrong = sorted(name for name in others if not name.startswith(f"{VALIDATION}_"))
    require(not wrong, f"the names of other splits must begin with {VALIDATION}_: {', '.join(wrong)}")
    require(
        len(set(task.classes)) == len(task.classes) != 1,
        f"its classes are {task.classes}, expected at least two different ones, or none",
    )
    same = sorted(task.data_order or task.classes) == sorted(task.classes)
    require(same, f"its classes are {task.classes}, those of data_order {task.data_order}")


def _check_split(split: Split, name: str, task: Task) -> None:
    texts = {"texts": split.texts} if split.pairs is None else {"texts": split.texts, "pairs": split.pairs}
    require(len(split) > 0, f"{name} is empty")
    for column, values in texts.items():
        require(len(values) == len(split), f"{name} has {len(split)} ids and {len(values)} {column}")
    rows = enumerate(zip(*texts.values(), strict=True))
    blank = next((i for i, values in rows if not any(value.strip() for value in values)), None)
    require(blank is None, f"{name} has a blank text at index {blank}")
    groups = split.groups
    require(groups is None or len(groups) == len(split), f"{name} has {len(split)} ids and {len(groups or ())} groups")
    paired = task.splits[TRAIN].pairs is not None
    require((split.pairs is not None) == paired, f"{name} and {TRAIN} differ in whether they have pairs")
    labels = split.labels
    require(labels.shape == (len(split),), f"labels of {name} have shape {labels.shape}, not ({len(split)},)")
    if task.classes:
        require(labels.dtype == np.int64, f"labels of {name} are {labels.dtype}; classes are int64")
        inside = bool(((labels >= 0) & (labels < len(task.classes))).all())
        require(inside, f"labels of {name} are outside of 0 to {len(task.classes) - 1}")
        occurring = set(labels.tolist())
        complete = name != TRAIN or len(occurring) == len(task.classes)
        require(complete, f"only {len(occurring)} of {len(task.classes)} classes occur in {TRAIN}")
    else:
        require(labels.dtype == np.float32, f"labels of {name} are {labels.dtype}; scores are float32")
        require(bool(np.isfinite(labels).all()), f"labels of {name} are not all finite")


def _check_apart(task: Task) -> None:
    ids = [example for split in task.splits.values() for example in split.ids]
    require(len(set(ids)) == len(ids), "an id occurs twice")
    pairs = combinations(task.splits, 2) if task.generated else [(TRAIN, SELECT)]
    for one, other in pairs:
        shared = _texts(task.splits[one]) & _texts(task.splits[other])
        require(not shared, f"{one} and {other} share {len(shared)} texts, such as {min(shared, default=None)!r}")
    groups = set(task.splits[TRAIN].groups or ()) & set(task.splits[SELECT].groups or ())
    require(not groups, f"{TRAIN} and {SELECT} share {len(groups)} groups, such as {min(groups, default=None)!r}")


def _texts(split: Split) -> set[tuple[str, ...]]:
    columns = (split.texts,) if split.pairs is None else (split.texts, split.pairs)
    return set(zip(*columns, strict=True))


def _check_metrics(task: Task) -> None:
    names = [metric.name for metric in task.metrics]
    require(len(set(names)) == len(names), f"two of its metrics have one name: {', '.join(names)}")
    require(not task.score_problem, task.score_problem)
    for name, split in task.splits.items():
        ideal = task.ideal_scores(name)
        value = task.evaluate_predictions(name, task.predict(ideal))[SCORE]
        require(abs(value - 100.0) < 1e-3, f"correct predictions of {name} score {value}, expected 100")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                constant = task.evaluate(name, np.zeros_like(ideal))
            except Warning as warning:
                raise ContractError(f"constant predictions of {name} cause a warning: {warning}") from None
        units = {metric.name: metric.unit for metric in task.metrics}
        for metric, value in constant.items():
            percent = units.get(metric, PERCENT) == PERCENT
            valid = -100.0 <= value <= 100.0 if percent else math.isfinite(value)
            expected = "a percentage" if percent else "a finite number"
            require(valid, f"{metric} of constant predictions of {name} is {value}, expected {expected}")
        _check_order(task, name, split)


def _check_order(task: Task, name: str, split: Split) -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(len(split))
    scores = task.ideal_scores(name)[rng.permutation(len(split))]
    scores = scores + np.round(rng.random(scores.shape), 1)  # some confidences are equal
    shuffled = evolve(task, splits={name: split.take(order)})
    before, after = task.evaluate(name, scores), shuffled.evaluate(name, scores[order])
    same = before.keys() == after.keys() and all(abs(before[key] - after[key]) < 1e-6 for key in before)
    require(same, f"the metrics of {name} depend on the order of the examples")


def _check_again(task: Task, again: Task) -> None:
    require(task.splits.keys() == again.splits.keys(), "loading it again gives other splits")
    for name, split in task.splits.items():
        other = again.splits[name]
        same = (split.ids, split.texts, split.pairs) == (other.ids, other.texts, other.pairs)
        require(same and split.digest == other.digest, f"loading it again gives another {name}")
    require(task.digest == again.digest, "loading it again gives other classes or another main metric")
