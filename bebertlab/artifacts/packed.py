"""Packed models of stages: written from stored models, compared with their stored outputs, and timed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import evolve
from numpy.typing import NDArray

from bebertlab.accounting.size import MEBIBYTE
from bebertlab.artifacts.merged import MERGED_FILE, MergedEnsemble, read_merged
from bebertlab.artifacts.outputs import SplitOutputs, has_probabilities, read_logits, read_scores, score_metrics
from bebertlab.data.batches import batches
from bebertlab.data.examples import Examples, load_examples
from bebertlab.errors import UserError
from bebertlab.inference.predict import evaluation_plan
from bebertlab.interfaces.metric_names import (
    PACKED_DIFFERENCE,
    PACKED_EXAMPLES,
    PACKED_FULL_PRECISION,
    PACKED_POSITIONS,
    SENTENCE_MILLISECONDS,
    SIZE_PACKED,
    VALIDATION_SCORE,
)
from bebertlab.interfaces.stage import Artifact, Context
from bebertlab.interfaces.task import SELECT, VALIDATION, Task
from bebertlab.packed.check import TOLERANCE, Agreement, largest_difference
from bebertlab.packed.contract import Score
from bebertlab.packed.latency import sentence_milliseconds
from bebertlab.packed.model import PackedModel
from bebertlab.packed.read import read_packed
from bebertlab.packed.source import SourceFolders, read_source
from bebertlab.packed.write import write_packed
from bebertlab.processors import processor_name

_Array = NDArray[np.floating[Any]]

PACKED_FOLDER = "packed"  #: in the folder of an artifact
#: names of the metrics of `pack_artifact`
PACK_METRICS = (SIZE_PACKED, PACKED_EXAMPLES, PACKED_DIFFERENCE, PACKED_FULL_PRECISION, PACKED_POSITIONS)


def pack_artifact(
    source: Artifact, members: Sequence[Artifact], context: Context, *, examples: int | None = None
) -> dict[str, float]:
    """Pack the model of a stage, or the members of a merged ensemble, into the folder `packed` of the context's folder.

    The packed model then predicts every evaluated split, or some batches of validation. Its logits, and the scores that
    an ensemble merges from them, are compared with the stored ones.

    Args:
        source: of a stage with a model, or of one that merges
        members: what `source` merges, discarded members included; empty for a model
        context: of the stage
        examples: of each validation split that are compared at least, in whole batches of the pass that gave the stored
            outputs; None: all of every evaluated split

    Returns:
        The metrics `size/packed_mebibytes`, and what was compared and left as it is, `packed/...`.

    Raises:
        UserError: the source has no outputs; members cannot be packed together; or an answer is another one, or
            differs by more than `TOLERANCE`.
    """
    ensemble = read_merged(source.folder, context.codec) if (source.folder / MERGED_FILE).is_file() else None
    models = [source] if ensemble is None else _voters(ensemble, members, source)
    stored = read_scores(source, context.task)
    folders = source_folders(ensemble, [model.folder for model in models])
    score = _score(stored, context.task, probabilities=has_probabilities(source))
    packable = read_source(evolve(folders, task=context.task.name, score=score), context.codec)
    logits = [read_logits(model, context.task) for model in models]
    compared: list[Agreement] = []
    report = write_packed(
        packable,
        context.folder / PACKED_FOLDER,
        context.codec,
        check=lambda folder: compared.append(_compare(folder, logits, stored, context, examples)),
    )
    return {
        SIZE_PACKED: report.file / MEBIBYTE,
        PACKED_EXAMPLES: compared[0].examples,
        PACKED_DIFFERENCE: compared[0].difference,
        PACKED_FULL_PRECISION: len(report.full_precision),
        PACKED_POSITIONS: report.positions,
    }


def source_folders(ensemble: MergedEnsemble | None, folders: Sequence[Path]) -> SourceFolders:
    """What is packed of a model (None), or of the voters of an ensemble, whose folders are given in their order.

    An ensemble with one voter is that model.
    """
    if ensemble is None or len(ensemble.voters) == 1:
        return SourceFolders(folders=tuple(folders))
    weights = tuple(member.weight for member in ensemble.voters)
    return SourceFolders(folders=tuple(folders), weights=weights, rule=ensemble.rule)


def latency_metrics(packed: Artifact, context: Context) -> dict[str, float]:
    """The metric `cost/sentence_milliseconds` of an artifact of `pack_artifact`; warns on which processor it is.

    It is measured at the lengths of the validation split.
    """
    folder = packed.folder / PACKED_FOLDER
    model = PackedModel.of(read_packed(folder, context.codec))
    examples = _examples(model, VALIDATION, folder, context)
    milliseconds = sentence_milliseconds(model, examples)
    context.warn(
        f"{SENTENCE_MILLISECONDS} was measured on {processor_name()} with one thread; times of other processors, or of"
        " a busy one, cannot be compared with it"
    )
    return {SENTENCE_MILLISECONDS: milliseconds}


def _voters(ensemble: MergedEnsemble, members: Sequence[Artifact], source: Artifact) -> list[Artifact]:
    by_key = {member.key: member for member in members}
    if missing := [voter.stage for voter in ensemble.voters if voter.key not in by_key]:
        raise UserError(f"stage {source.stage} merges {', '.join(missing)}, which is no input of this stage")
    return [by_key[voter.key] for voter in ensemble.voters]


def _score(outputs: SplitOutputs, task: Task, *, probabilities: bool) -> Score:
    validation = {VALIDATION: outputs[VALIDATION]}
    value = score_metrics(validation, task, probabilities=probabilities)[VALIDATION_SCORE]
    return Score(metric=task.score, value=value, examples=len(outputs[VALIDATION]))


def _compare(
    folder: Path, logits: Sequence[SplitOutputs], scores: SplitOutputs, context: Context, count: int | None
) -> Agreement:
    """Compare what a packed model answers on all splits with what is stored.

    Raises:
        UserError: an answer is another one, or differs by more than `TOLERANCE`.
    """
    # without generated code, which gives the same bits: compiling and timing it takes longer than a few batches
    model = PackedModel.of(read_packed(folder, context.codec), device=context.device, kernels=False)
    compared, largest = 0, 0.0
    for split in (name for name in scores if count is None or name != SELECT):
        answers, chosen = _answers(model, _examples(model, split, folder, context), context.device, count)
        stored = np.stack([member[split][chosen] for member in logits])
        difference = _difference(answers, stored)
        if model.merger is not None:
            answers, stored = model.merge(torch.from_numpy(answers)).numpy()[None], scores[split][chosen][None]
            difference = max(difference, _difference(answers, stored))
        other = _different_answers(answers, stored, context.task)
        if not difference <= TOLERANCE or other:
            raise UserError(
                f"the packed model does not answer as the stored outputs on {split}: {other} of {len(chosen)} answers"
                f" are others, and a logit or score differs by up to {difference:.3g}, expected at most {TOLERANCE:g}"
            )
        compared, largest = compared + len(chosen), max(largest, difference)
    return Agreement(examples=compared, difference=largest)


def _difference(actual: _Array, expected: _Array) -> float:
    return largest_difference(torch.from_numpy(actual), torch.from_numpy(expected))


def _different_answers(answers: _Array, stored: _Array, task: Task) -> int:
    """How many answers differ; a regression has no classes, and its values are compared already."""
    return int((answers.argmax(axis=-1) != stored.argmax(axis=-1)).any(axis=0).sum()) if task.classes else 0


def _answers(
    model: PackedModel, examples: Examples, device: str, count: int | None
) -> tuple[_Array, NDArray[np.int64]]:
    """The logits (M, N, C) of every member, and the positions (N,) of the examples in the split.

    They are computed in the batches of `predict`, all of them or those that give `count` examples.
    """
    plans = [evaluation_plan(member, examples, device) for member in model.members]
    if count is not None and all(np.array_equal(plan.bounds, plans[0].bounds) for plan in plans):
        plans = [plans[0].cheapest(examples.tokens.lengths, count)] * len(plans)
    chosen = np.sort(plans[0].order)
    logits = [
        torch.cat([member(batch).logits for batch in batches(examples, plan, device=device)])[np.argsort(plan.order)]
        for member, plan in zip(model.members, plans, strict=True)
    ]
    return torch.stack(logits).cpu().numpy(), chosen


def _examples(model: PackedModel, split: str, folder: Path, context: Context) -> Examples:
    return load_examples(context.task, split, folder, model.architecture.positions, cache=context.cache)
