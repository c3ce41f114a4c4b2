"""What a stage asks the strategy of an ensemble, checked before anything trains on the answer."""

from __future__ import annotations

from typing import TypeVar

from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import EnsembleOptions, MemberResult, SampleWeights, signature_problem
from bebertlab.interfaces.task import TRAIN, Task
from bebertlab.interfaces.training_data import TrainingData

T = TypeVar("T", SampleWeights, MemberResult)


def training_data(task: Task, seed: int) -> TrainingData:
    """What a strategy is given of the task's train split; `seed` is that of the ensemble."""
    split = task.splits[TRAIN]
    return TrainingData(ids=split.ids, labels=split.labels, seed=seed)


def first_sample_weights(options: EnsembleOptions, index: int, task: Task, seed: int) -> SampleWeights:
    """What a member trains on where no other was judged before it.

    Raises:
        UserError: the strategy has other methods than an ensemble's, or what it returns is not a round of the split.
    """
    strategy = options.build(task.outputs)
    problem = signature_problem(strategy)
    if problem:
        raise UserError(f"ensemble '{options.kind}': {problem}")
    data = training_data(task, seed)
    return check_sample_weights(
        strategy.first(index, data), len(data), f"ensemble '{options.kind}': first({index}, ...)"
    )


def check_sample_weights(round: SampleWeights, examples: int, origin: str) -> SampleWeights:
    """The round, unless it is not one of that many examples; `origin` says who returned it.

    Raises:
        UserError: names the origin and what is wrong.
    """
    return _checked(round, SampleWeights, examples, origin)


def check_member_result(verdict: MemberResult, examples: int, origin: str) -> MemberResult:
    """The verdict, unless it is none on a member of that many examples; `origin` says who returned it.

    Raises:
        UserError: names the origin and what is wrong.
    """
    return _checked(verdict, MemberResult, examples, origin)


def _checked(found: T, cls: type[T], examples: int, origin: str) -> T:
    if not isinstance(found, cls):
        raise UserError(f"{origin} returns {type(found).__name__}, not a {cls.__name__}")
    problem = found.problem(examples)
    if problem:
        raise UserError(f"{origin} returns {cls.__name__} with {problem}")
    return found
