"""The margin of a cascade, chosen by the stored logits of the members of an ensemble."""

from __future__ import annotations

import numpy as np

from bebertlab.artifacts.outputs import LOGITS_FILE, SplitOutputs, read_outputs
from bebertlab.errors import UserError
from bebertlab.inference.cascade import Vote, ask_stored, check_cascade, choose_margin
from bebertlab.interfaces.ensemble import Floats
from bebertlab.interfaces.metric_names import SCORE
from bebertlab.interfaces.task import SELECT, VALIDATION, Scores, Task
from bebertlab.packed.contract import Cascade, Score
from bebertlab.packed.source import SourceFolders

TOLERANCE = 0.1  #: points of the score that a cascade may cost on `select`, by default


def choose_cascade(source: SourceFolders, task: Task | None, *, tolerance: float = TOLERANCE) -> Cascade:
    """The cascade of an ensemble that asks the fewest members for nearly the same score on `select`.

    `select` was split off from the training data, and no member was trained on it. The score on validation is added
    when the margin is chosen.

    Args:
        source: folders of stages with a model and its stored logits
        task: that the members were trained on, whose labels are read
        tolerance: points of the score that it may cost

    Raises:
        UserError: it is no ensemble, a regression, or its rule counts votes; logits or labels are missing.
    """
    if source.rule is None:
        raise UserError("a cascade needs an ensemble, and this is a single model")
    if task is None:
        raise UserError(
            "a cascade needs the labels of the task, whose data are not there, are others today, or are not known;"
            " leave out --cascade, and choose a margin by `predict --margin`"
        )
    check_cascade(source.rule, task.outputs)
    vote = Vote.of(source.rule, source.weights, task.outputs)
    outputs = [read_outputs(folder / LOGITS_FILE, task, (SELECT, VALIDATION)) for folder in source.folders]

    def score(split: str, scores: Scores) -> float:
        return task.evaluate(split, scores, probabilities=vote.probabilities)[SCORE]

    choice = choose_margin(_stack(outputs, SELECT), vote, lambda scores: score(SELECT, scores), tolerance)
    answers = ask_stored(_stack(outputs, VALIDATION), vote, choice.margin)
    return Cascade(
        margin=choice.margin,
        tolerance=tolerance,
        select=_score(task, SELECT, choice.score),
        full=_score(task, SELECT, choice.full_score),
        shares=choice.shares,
        validation=_score(task, VALIDATION, score(VALIDATION, answers.scores)),
    )


def _stack(outputs: list[SplitOutputs], split: str) -> Floats:
    """The logits (M, N, C) of all members."""
    return np.stack([member[split].astype(np.float64) for member in outputs])


def _score(task: Task, split: str, value: float) -> Score:
    return Score(metric=task.score, value=float(value), examples=len(task.splits[split]))
