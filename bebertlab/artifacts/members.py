"""Members of an ensemble: the sample weights and results that its strategy returns, checked, and their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from attrs import frozen
from safetensors.torch import load_file, save_file

from bebertlab.errors import UserError
from bebertlab.files import read_json
from bebertlab.formats import MEMBER
from bebertlab.interfaces.ensemble import (
    EnsembleOptions,
    Floats,
    MemberResult,
    SampleWeights,
    Sampling,
    signature_problem,
)
from bebertlab.interfaces.metric_names import MEMBER_ERROR, MEMBER_KEPT, MEMBER_TRAINED, MEMBER_WEIGHT
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import TRAIN, Task
from bebertlab.interfaces.training_data import TrainingData

MEMBER_FILE = "member.json"
NEXT_WEIGHTS_FILE = "next_sample_weights.safetensors"

T = TypeVar("T", SampleWeights, MemberResult)


def training_data(task: Task, seed: int) -> TrainingData:
    """The train split as a strategy receives it; `seed` is that of the ensemble."""
    split = task.splits[TRAIN]
    return TrainingData(ids=split.ids, labels=split.labels, seed=seed)


def first_sample_weights(options: EnsembleOptions, index: int, task: Task, seed: int) -> SampleWeights:
    """What member `index` trains on where it depends on no member before it; `seed` is that of the ensemble.

    Raises:
        UserError: the strategy lacks a method of ensembles, or does not return sample weights for the split.
    """
    strategy = options.build(task.outputs)
    problem = signature_problem(strategy)
    if problem:
        raise UserError(f"ensemble '{options.kind}': {problem}")
    data = training_data(task, seed)
    weights = strategy.first(index, data)
    return _checked(weights, SampleWeights, len(data), f"ensemble '{options.kind}': first({index}, ...)")


def update_ensemble(
    options: EnsembleOptions, index: int, weights: SampleWeights, logits: Floats | None, task: Task, seed: int
) -> MemberResult:
    """The result of member `index`, which trained on `weights`, by its logits (N, C) on the train split.

    `logits` is None where the options say `needs_predictions = False`; `seed` is that of the ensemble.

    Raises:
        UserError: the strategy does not return a valid result for that split.
    """
    data = training_data(task, seed)
    result = options.build(task.outputs).update(index, weights, logits, data)
    return _checked(result, MemberResult, len(data), f"ensemble '{options.kind}': update({index}, ...)")


def _checked(returned: T, cls: type[T], examples: int, origin: str) -> T:
    if not isinstance(returned, cls):
        raise UserError(f"{origin} returns {type(returned).__name__}, expected {cls.__name__}")
    problem = returned.problem(examples)
    if problem:
        raise UserError(f"{origin} returns {cls.__name__} with {problem}")
    return returned


@frozen(kw_only=True, eq=False)
class Member:
    """A member as it is stored."""

    result: MemberResult
    trained: bool = True  #: False: without a model, since the member before it ended the ensemble

    def metrics(self) -> dict[str, float]:
        """The metrics `member/trained`, `member/kept`, `member/weight`, and `member/error` where one was computed."""
        error = {} if self.result.error is None else {MEMBER_ERROR: float(self.result.error)}
        return {
            MEMBER_TRAINED: float(self.trained),
            MEMBER_KEPT: float(self.result.kept),
            MEMBER_WEIGHT: float(self.result.weight),
            **error,
        }


#: a member that was not trained, because the one before it ended the ensemble
UNTRAINED = Member(trained=False, result=MemberResult(weight=0.0, kept=False, error=None, next=None))


def write_member(member: Member, folder: Path) -> None:
    """Write the result of a member into the folder of its artifact, next to its model.

    `merge` then reads its weight and whether it is kept; without the file a model is kept with weight 1.
    """
    result = member.result
    data = {
        "format": MEMBER.number,
        "trained": member.trained,
        "kept": bool(result.kept),  # JSON has no types of numpy
        "weight": float(result.weight),
        "error": None if result.error is None else float(result.error),
        "next": None if result.next is None else _dump(result.next),
    }
    (folder / MEMBER_FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    if result.next is not None:
        save_file({"weights": torch.from_numpy(result.next.weights).contiguous()}, folder / NEXT_WEIGHTS_FILE)


def read_member(artifact: Artifact) -> Member:
    """The member in an artifact; a model without a stored result counts as a kept member of weight 1.

    Raises:
        UserError: the file is damaged, or of another format.
    """
    path = artifact.folder / MEMBER_FILE
    if not path.is_file():
        return Member(result=MemberResult(weight=1.0, kept=True, error=None, next=None))
    data = read_json(path)
    MEMBER.check(data.get("format"), path)
    next_weights = None if data["next"] is None else _load(data["next"], artifact.folder)
    result = MemberResult(weight=data["weight"], kept=data["kept"], error=data["error"], next=next_weights)
    return Member(trained=data["trained"], result=result)


def _dump(weights: SampleWeights) -> dict[str, Any]:
    draws = None if weights.draws is None else int(weights.draws)
    return {"sampling": weights.sampling.value, "retries": int(weights.retries), "draws": draws}


def _load(data: dict[str, Any], folder: Path) -> SampleWeights:
    return SampleWeights(
        sampling=Sampling(data["sampling"]),
        weights=load_file(folder / NEXT_WEIGHTS_FILE)["weights"].numpy(),
        retries=data["retries"],
        draws=data["draws"],
    )
