"""Merging the members of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from attrs import Attribute, evolve, field, frozen

from bebertlab.api import (
    MEMBERS_COUNT,
    MEMBERS_KEPT,
    Artifact,
    Codec,
    Composition,
    Context,
    EnsembleOptions,
    Floats,
    Inputs,
    MergedEnsemble,
    MergedMember,
    MergerOptions,
    QuantSpecs,
    SplitOutputs,
    StageOptions,
    Task,
    UserError,
    combined_metrics,
    evaluated_splits,
    read_logits,
    read_member,
    stage_input,
    write_merged,
    write_metrics,
    write_scores,
)

#: kinds of stages without a model
_WITHOUT_MODEL = ("merge", "evaluate", "pack")


@frozen(kw_only=True, eq=False)
class EnsembleMember:
    """A model that is merged, unless it was discarded."""

    artifact: Artifact
    weight: float
    kept: bool = True
    trained: bool = True  #: False: it has no model


def _all_positive(_: object, attribute: Attribute[Any], weights: tuple[float, ...] | None) -> None:
    if weights is not None and not all(np.isfinite(weight) and weight > 0 for weight in weights):
        raise ValueError(f"'{attribute.name}' must be finite and > 0: {weights}")


@frozen(kw_only=True)
class MergeStage(StageOptions):
    """Merge the stored logits of members; no model is trained or run.

    Members may come from several groups and single stages, differ in quantizers, sizes and tokenizers, and need no
    common strategy: `members: [boosted, bagged.0, distilled]`. A member has the weight that its ensemble computed, a
    model that is not a member has weight 1, and members that their ensemble discarded are omitted. The weights of
    different ensembles are on different scales: set `weights`, or a `rule` that ignores them, where members come from
    several.
    """

    kind = "merge"
    revision = 5
    deterministic = True
    members: str | tuple[str, ...] = stage_input(many=True)  #: group of members, stage with a model, or list of these
    #: merging rule; null: the rule of their ensemble, if they have a common one
    rule: MergerOptions | None = None
    #: one weight for each member in order, including all members of groups; null: those of the ensemble
    weights: tuple[float, ...] | None = field(default=None, validator=_all_positive)

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Fill in the rule of the ensemble, and check that the rule suits the task and there is a weight for each."""
        members = inputs["members"]
        _check_members(members)
        if self.weights is not None and len(self.weights) != len(members):
            raise UserError(f"weights has {len(self.weights)} numbers, and {len(members)} models are merged")
        rule = self.rule or _common_rule(members, task)
        rule.build(task.outputs)
        return evolve(self, rule=rule)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """No model, and no parts besides the rule."""
        return Composition()

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the merged scores of every evaluated split, and which members they come from."""
        if self.rule is None:
            raise UserError("no rule is named; prepare() fills it in")
        members = self._members(inputs)
        votes = voting_weights(members)
        voting = [evolve(m, weight=weight) for m, weight in zip(members, votes, strict=True) if weight is not None]
        _warn_of_duplicates(voting, context)
        logits = [read_logits(member.artifact, context.task) for member in voting]
        merger = self.rule.build(context.task.outputs)
        weights = np.array([member.weight for member in voting])
        scores = {
            split: _checked(self.rule.kind, merger.merge(_stack(logits, split), weights), split, context.task)
            for split in evaluated_splits(context.task)
        }
        write_scores(scores, context.folder, probabilities=self.rule.probabilities)
        write_merged(_merged(members, votes, self.rule), context.folder, context.codec)
        counts = {MEMBERS_COUNT: len(members), MEMBERS_KEPT: len(voting)}
        write_metrics({**counts, **combined_metrics((m.artifact for m in voting), context)}, context.folder)

    def _members(self, inputs: Inputs) -> list[EnsembleMember]:
        artifacts = inputs.many("members")
        stored = [read_member(artifact) for artifact in artifacts]
        weights = self.weights or [member.result.weight for member in stored]
        return [
            EnsembleMember(artifact=artifact, weight=weight, kept=member.result.kept, trained=member.trained)
            for artifact, member, weight in zip(artifacts, stored, weights, strict=True)
        ]


def voting_weights(members: Sequence[EnsembleMember]) -> list[float | None]:
    """The weight of each member in the vote: None where it was discarded, 1 of the first trained one if all were.

    An ensemble with only discarded members is therefore its first member, until a member is kept.
    """
    if any(member.kept for member in members):
        return [member.weight if member.kept else None for member in members]
    first = next(index for index, member in enumerate(members) if member.trained)
    return [1.0 if index == first else None for index in range(len(members))]


def _check_members(members: tuple[StageOptions, ...]) -> None:
    """Check that each has a model, and that no two are the same."""
    for index, stage in enumerate(members):
        if stage.kind in _WITHOUT_MODEL:
            raise UserError(f"a stage of kind '{stage.kind}' has no model to merge; name the stages that it reads")
        if stage in members[:index]:
            advice = "name it once" if stage.deterministic else "set another `seed` for one of them"
            raise UserError(
                f"two of the stages to merge are of kind '{stage.kind}' with equal options and would be the same model"
                f" twice; {advice}"
            )


def _common_rule(members: tuple[StageOptions, ...], task: Task) -> MergerOptions:
    """The rule of the ensemble that all members belong to; a member is a stage with an option `ensemble`."""
    ensembles: list[EnsembleOptions] = []
    for stage in members:
        ensemble = getattr(stage, "ensemble", None)
        if not isinstance(ensemble, EnsembleOptions):
            raise UserError(f"a stage of kind '{stage.kind}' belongs to no ensemble with a rule; name one as `rule`")
        if ensemble not in ensembles:
            ensembles.append(ensemble)
    if len(ensembles) > 1:
        kinds = ", ".join(dict.fromkeys(ensemble.kind for ensemble in ensembles))
        raise UserError(
            f"the members belong to {len(ensembles)} ensembles ({kinds}), each with its own rule; name one as `rule`"
        )
    return ensembles[0].merger(task.outputs)


def _warn_of_duplicates(members: Sequence[EnsembleMember], context: Context) -> None:
    positions: dict[str, int] = {}
    for position, member in enumerate(members, start=1):
        key = member.artifact.key
        if key in positions:
            # by position: another recipe that reads this artifact from the store may name the stages differently
            context.warn(f"models {positions[key]} and {position} of the merged ones are the same model, counted twice")
        positions[key] = position


def _stack(logits: Sequence[SplitOutputs], split: str) -> Floats:
    """Logits (M, N, C) of a split."""
    return np.stack([outputs[split].astype(np.float64) for outputs in logits])


def _checked(rule: str, scores: Floats, split: str, task: Task) -> Floats:
    """The scores (N, C) of a split, if they have that shape and are finite."""
    shape = len(task.splits[split]), task.outputs
    if scores.shape != shape:
        raise UserError(f"merger '{rule}' gives scores of the shape {scores.shape} on {split}, expected {shape}")
    if not np.isfinite(scores).all():
        raise UserError(f"merger '{rule}' gives scores on {split} that contain NaN or inf")
    return scores


def _merged(members: Sequence[EnsembleMember], votes: Sequence[float | None], rule: MergerOptions) -> MergedEnsemble:
    """Which members there are, by stage and key, and whether each votes."""
    return MergedEnsemble(
        rule=rule,
        members=tuple(
            MergedMember(
                stage=member.artifact.stage,
                key=member.artifact.key,
                trained=member.trained,
                kept=member.kept,
                weight=member.weight if weight is None else weight,
                votes=weight is not None,
            )
            for member, weight in zip(members, votes, strict=True)
        ),
    )
