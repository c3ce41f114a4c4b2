"""An ensemble out of its members."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from attrs import evolve, frozen
from safetensors.torch import load_file, save_file
from torch import Tensor

from bebertlab.artifacts.metrics import most_truncated, read_metrics, summed_sizes, write_metrics
from bebertlab.artifacts.model import LOGITS_FILE, evaluated_splits
from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import EnsembleOptions, Floats, MergerOptions
from bebertlab.interfaces.stage import (
    Artifact,
    Codec,
    Composition,
    Context,
    Inputs,
    QuantSpecs,
    StageOptions,
    stage_input,
)
from bebertlab.interfaces.task import Task
from bebertlab.stages.member import MemberStage
from bebertlab.stages.member_result import MEMBER_RESULT_FILE, read_member_result

SCORES_FILE = "scores.safetensors"
MEMBERS_FILE = "members.json"
#: kinds of stages without a model
_WITHOUT_MODEL = ("merge", "evaluate")


@frozen(kw_only=True, eq=False)
class EnsembleMember:
    """A member and its say."""

    artifact: Artifact
    weight: float
    kept: bool
    trained: bool


@frozen(kw_only=True)
class MergeStage(StageOptions):
    """Merge the stored logits of members; nothing is trained or run."""

    kind = "merge"
    revision = 2
    deterministic = True
    members: str | tuple[str, ...] = stage_input(many=True)  #: group of members, stage with a model, or list of these
    rule: MergerOptions | None = None  #: how; null takes the ensemble's own

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Fill in the ensemble's own rule, and check that the rule suits the task."""
        _check_members(inputs["members"])
        rule = self.rule or _own_rule(inputs["members"], task)
        rule.build(task.outputs)
        return evolve(self, rule=rule)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """No model, and nothing beyond the rule."""
        return Composition()

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the merged scores of every evaluated split, and who spoke."""
        if self.rule is None:
            raise UserError("no rule is named; prepare() fills it in")
        voices = [_voice(artifact) for artifact in inputs.many("members")]
        speaking = voting_members(voices)
        _warn_of_twins(speaking, context)
        logits = [_checked_logits(voice.artifact, context.task) for voice in speaking]
        merger = self.rule.build(context.task.outputs)
        weights = np.array([voice.weight for voice in speaking])
        merged = {
            split: _scores(self.rule.kind, merger.merge(_stacked(logits, split), weights), split, context.task)
            for split in evaluated_splits(context.task)
        }
        save_file(merged, context.folder / SCORES_FILE)
        _write_members(voices, speaking, context)


def voting_members(voices: Sequence[EnsembleMember]) -> tuple[EnsembleMember, ...]:
    """The members that are merged: those that were kept; where none was, the first one, with weight 1.

    So an ensemble of one useless member is still that member, and the next useful one takes its place.
    """
    kept = tuple(voice for voice in voices if voice.kept)
    first = next(voice for voice in voices if voice.trained)
    return kept or (evolve(first, weight=1.0),)


def _check_members(members: tuple[StageOptions, ...]) -> None:
    """Check that there is a model in each, and that no two are the same."""
    for index, stage in enumerate(members):
        if stage.kind in _WITHOUT_MODEL:
            raise UserError(f"a stage of kind '{stage.kind}' has no model to merge; name the stages that it reads")
        if stage in members[:index]:
            advice = "name it once" if stage.deterministic else "set another `seed` for one of them"
            raise UserError(
                f"two of the stages to merge are of kind '{stage.kind}' with the same options and would be one model"
                f" twice; {advice}"
            )


def _own_rule(members: tuple[StageOptions, ...], task: Task) -> MergerOptions:
    """The rule of the strategy that all members follow."""
    strategies: list[EnsembleOptions] = []
    for stage in members:
        if not isinstance(stage, MemberStage):
            raise UserError("what it merges are no members of an ensemble, which would have a rule; name one as `rule`")
        if stage.ensemble not in strategies:
            strategies.append(stage.ensemble)
    if len(strategies) > 1:
        kinds = ", ".join(dict.fromkeys(strategy.kind for strategy in strategies))
        raise UserError(
            f"the members follow {len(strategies)} strategies ({kinds}), each with its own rule; name one as `rule`"
        )
    return strategies[0].merger(task.outputs)


def _checked_logits(artifact: Artifact, task: Task) -> Mapping[str, Tensor]:
    """The logits (N, C) of a member by split, for the classes of the task."""
    path = artifact.folder / LOGITS_FILE
    if not path.is_file():
        raise UserError(f"stage {artifact.stage} has no {LOGITS_FILE}; only stages with a model can be merged")
    logits: Mapping[str, Tensor] = load_file(path)
    for split in evaluated_splits(task):
        columns = logits[split].shape[1]
        if columns != task.outputs:
            wanted = f"task '{task.name}' has {task.outputs}"
            raise UserError(f"stage {artifact.stage} has {columns} outputs on {split}, {wanted}")
    return logits


def _warn_of_twins(voices: Sequence[EnsembleMember], context: Context) -> None:
    """Say where two members are the same model."""
    places: dict[str, int] = {}
    for place, voice in enumerate(voices, start=1):
        key = voice.artifact.key
        if key in places:
            # by places: stages have other names in another recipe that finds this one in the store
            context.warn(f"models {places[key]} and {place} of the merged ones are the same model, which counts twice")
        places[key] = place


def _voice(artifact: Artifact) -> EnsembleMember:
    if not (artifact.folder / MEMBER_RESULT_FILE).exists():
        return EnsembleMember(artifact=artifact, weight=1.0, kept=True, trained=True)
    judged = read_member_result(artifact.folder)
    verdict = judged.verdict
    return EnsembleMember(artifact=artifact, weight=verdict.weight, kept=verdict.kept, trained=judged.trained)


def _stacked(logits: Sequence[Mapping[str, Tensor]], split: str) -> Floats:
    """Logits (M, N, C) of a split."""
    return np.stack([of_member[split].numpy().astype(np.float64) for of_member in logits])


def _scores(rule: str, scores: Floats, split: str, task: Task) -> Tensor:
    """What a rule makes of a split, as a tensor (N, C).

    Raises:
        UserError: it has another shape, or is not finite; no arg max would tell.
    """
    shape = len(task.splits[split]), task.outputs
    if scores.shape != shape:
        raise UserError(f"merger '{rule}' gives scores of the shape {scores.shape} on {split}, expected {shape}")
    if not np.isfinite(scores).all():
        raise UserError(f"merger '{rule}' gives scores on {split} that are not finite")
    return torch.from_numpy(scores).contiguous()


def _write_members(voices: Sequence[EnsembleMember], speaking: Sequence[EnsembleMember], context: Context) -> None:
    keys = {voice.artifact.key for voice in speaking}
    members = [
        {
            "stage": voice.artifact.stage,
            "key": voice.artifact.key,
            "trained": voice.trained,
            "kept": voice.kept,
            "weight": voice.weight,
            "speaks": voice.artifact.key in keys,
        }
        for voice in voices
    ]
    (context.folder / MEMBERS_FILE).write_text(json.dumps(members, indent=2) + "\n", encoding="utf-8")
    counts = {"members/count": len(voices), "members/kept": len(speaking)}
    sizes = summed_sizes((voice.artifact for voice in speaking), context)
    truncated = most_truncated(read_metrics(voice.artifact.folder) for voice in speaking)
    write_metrics({**counts, **sizes, **truncated}, context.folder)
