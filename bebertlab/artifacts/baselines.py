"""Whether a model learned anything: the scores of trivial baselines, and how much its predictions vary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from bebertlab.artifacts.metrics import read_metrics
from bebertlab.interfaces.events import TrialRecord, TrialState
from bebertlab.interfaces.metric_names import (
    CHANCE,
    MAJORITY,
    SCORE,
    SELECT_SCORE,
    TEACHER_BETTER,
    TRAIN_STEPS,
    VALIDATION_SCORE,
    baseline_metric,
    label_variety,
    split_metric,
    variety,
)
from bebertlab.interfaces.stage import Artifact, Context
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Labels, Task

_MAJORITY_SCORE = baseline_metric(MAJORITY, VALIDATION_SCORE)
_VARIETY, _LABEL_VARIETY = variety(VALIDATION), label_variety(VALIDATION)
_GUESSES = 10  #: guesses that are averaged
_FEW_STEPS = 100  #: a training with fewer optimizer steps is called short where nothing was learned
_NEARLY = 0.05  #: predictions that vary less than this fraction of what the labels do are nearly constant


def baseline_metrics(task: Task) -> dict[str, float]:
    """Scores of the majority class and of chance on select and the validation splits, named by `baseline_metric`.

    Regression: the mean of the training labels stands for the majority, random ones of them for chance.
    """
    return {
        baseline_metric(baseline, split_metric(split, name)): value
        for split in task.splits
        if split == SELECT or split.startswith(VALIDATION)
        for baseline, score in ((MAJORITY, _majority), (CHANCE, _chance))
        for name, value in score(task, split).items()
    }


def _majority(task: Task, split: str) -> dict[str, float]:
    labels, count = task.splits[TRAIN].labels, len(task.splits[split])
    constant = np.bincount(labels).argmax() if task.classes else labels.mean()
    return task.evaluate_predictions(split, np.full(count, constant, dtype=labels.dtype))


def _chance(task: Task, split: str) -> dict[str, float]:
    labels, count = task.splits[TRAIN].labels, len(task.splits[split])
    rng = np.random.default_rng(0)
    guesses = (
        rng.integers(len(task.classes), size=count) if task.classes else rng.choice(labels, size=count)
        for _ in range(_GUESSES)
    )
    metrics = [task.evaluate_predictions(split, guess) for guess in guesses]
    return {name: float(np.mean([values[name] for values in metrics])) for name in metrics[0]}


def variety_metrics(task: Task, predictions: Labels) -> dict[str, float]:
    """How much predictions (N,) of the validation split vary, in percent, and how much its labels do.

    Classes: the share of predictions other than the most frequent one. Regression: the standard deviation divided
    by that of the labels.
    """
    labels = task.splits[VALIDATION].labels
    return {_VARIETY: _variety(task, predictions, labels), _LABEL_VARIETY: _variety(task, labels, labels)}


def is_constant(metrics: Mapping[str, float]) -> bool:
    """Whether a model makes (nearly) the same prediction for all texts, by its metrics.

    >>> is_constant({"variety/validation": 1.2, "variety/validation_labels": 48.0})
    True
    """
    return _VARIETY in metrics and metrics[_VARIETY] < _NEARLY * metrics[_LABEL_VARIETY]


def beats_majority(score: float, majority: float, examples: int) -> bool:
    """Whether a score is above that of the majority by more than one standard error of a share, 50 / sqrt(N) points.

    >>> beats_majority(52.0, 50.0, examples=100), beats_majority(52.0, 50.0, examples=2000)
    (False, True)
    """
    return score > majority + 50 / math.sqrt(examples)


def teacher_metrics(teacher: Artifact | None, context: Context) -> dict[str, float]:
    """Whether a teacher is better than the majority class on the select split; warns where it is not.

    Empty without a teacher, or where its artifact has no score.
    """
    score = None if teacher is None else read_metrics(teacher.folder).get(SELECT_SCORE)
    if score is None:
        return {}
    task = context.task
    majority = _majority(task, SELECT)[SCORE]
    better = beats_majority(score, majority, len(task.splits[SELECT]))
    if not better:
        context.warn(
            f"the teacher scores {score:.4g} on {SELECT}, not shown to be better than always giving the"
            f" most frequent answer ({majority:.4g}): a student can learn nothing from it"
        )
    return {TEACHER_BETTER: float(better)}


def learning_warnings(metrics: Mapping[str, float], task: Task) -> tuple[str, ...]:
    """Warnings of a result that learned nothing; empty where it learned something."""
    score, majority = metrics[VALIDATION_SCORE], metrics[_MAJORITY_SCORE]
    if is_constant(metrics):
        note = _variety_note(metrics, task)
        return (f"the model gives (nearly) the same answer to every text of {VALIDATION}{note}: it learned nothing",)
    if not beats_majority(score, majority, len(task.splits[VALIDATION])):
        return (
            f"{VALIDATION_SCORE} {score:.4g} is not shown to be better than always giving the most frequent answer"
            f" ({majority:.4g})",
        )
    return ()


def _variety_note(metrics: Mapping[str, float], task: Task) -> str:
    if not metrics[_VARIETY]:
        return ""
    measure = "answers that differ" if task.classes else "spread of the answers, in percent of that of the labels"
    return f" ({measure}: {metrics[_VARIETY]:.2g}{' %' if task.classes else ''})"


@frozen(kw_only=True)
class Learned:
    """What the trials of a study learned."""

    reasons: tuple[str, ...] = ()  #: why nothing was learned, a sentence each; empty where something was
    constant: frozenset[int] = frozenset()  #: numbers of trials whose answers hardly vary
    steps: int | None = None  #: optimizer steps of the longest training; None where none is known

    @property
    def nothing(self) -> bool:
        """Nothing was learned, so that points cannot be compared."""
        return bool(self.reasons)

    def remarks(self, *, is_smoke: bool) -> tuple[str, ...]:
        """What a reader must know of a smoke run, and of trainings that are too short to learn; a sentence each."""
        longest = "" if self.steps is None else f" (optimizer steps of the longest: {self.steps:,})"
        if is_smoke and self.nothing:
            return (
                f"This is expected of a smoke run (--smoke): its trainings are too short to learn{longest}, it only"
                " shows that everything works.",
            )
        if is_smoke:
            return (
                f"This is a smoke run (--smoke): its trainings are short{longest}, it shows that everything works and"
                " not which method is better.",
            )
        if self.nothing and self.steps is not None and self.steps < _FEW_STEPS:
            return (
                f"All trainings were short (optimizer steps of the longest: {self.steps:,}): train for more epochs or"
                " on more examples before you conclude anything.",
            )
        return ()


def learned(trials: Sequence[TrialRecord]) -> Learned:
    """What complete trials learned, by the metrics of their stages; no reasons without such metrics."""
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    constant = frozenset(trial.number for trial in complete if is_constant(trial.metrics))
    reasons = []
    if complete and len(constant) == len(complete):
        reasons.append(f"Nothing was learned: every model gives the same answer to (nearly) all texts of {VALIDATION}.")
    stages = [stage.metrics for trial in complete for stage in trial.stages]
    better = [metrics[TEACHER_BETTER] for metrics in stages if TEACHER_BETTER in metrics]
    if better and not any(better):
        reasons.append("The teacher is no better than always giving the most frequent answer (on select).")
    if not reasons and (best := _best_against_majority(complete)):
        reasons.append(f"Nothing was learned: {best}")
    steps = [int(metrics[TRAIN_STEPS]) for metrics in stages if TRAIN_STEPS in metrics]
    return Learned(reasons=tuple(reasons), constant=constant, steps=max(steps, default=None))


def _best_against_majority(complete: Sequence[TrialRecord]) -> str:
    if not complete or any(_MAJORITY_SCORE not in trial.metrics for trial in complete):
        return ""
    above = [trial for trial in complete if trial.metrics[VALIDATION_SCORE] > trial.metrics[_MAJORITY_SCORE]]
    return "" if above else f"no model scores higher on {VALIDATION} than always giving the most frequent answer."


def _variety(task: Task, answers: Labels, labels: Labels) -> float:
    if task.classes:
        return float(100.0 * (1.0 - np.bincount(answers).max() / len(answers)))
    spread: Any = np.std(labels)
    return float(100.0 * np.std(answers) / spread) if spread else 0.0
