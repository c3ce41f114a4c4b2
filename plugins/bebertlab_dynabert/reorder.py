"""The stage that puts the most important heads and neurons first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import torch
from attrs import field, frozen, validators
from safetensors.torch import save_file

from bebertlab.api import (
    SELECT,
    TRAIN,
    VALIDATION,
    Batch,
    BertClassifier,
    Checkpoint,
    Codec,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    PlannedModels,
    Planning,
    QuantSpecs,
    StageOptions,
    Task,
    UserError,
    batches,
    evaluate_and_save,
    group_in_order,
    input_length,
    load_examples,
    read_model,
    stage_input,
    unknown,
)
from bebertlab_dynabert.rewiring import Importance, NeuronOrder, descending, measure_importance, reordered

IMPORTANCE_FILE = "importance.safetensors"
ORDER_FILE = "order.json"
#: largest difference of the logits in double precision, relative to 1 or to the logit if that is larger
TOLERANCE = 1e-9

_EXAMPLES: int | None = 8192


@frozen(kw_only=True)
class ReorderStage(StageOptions):
    """Put the heads and neurons of a full-precision model in the order of their importance; its function is unchanged.

    Slices by width keep the first ones. Importances are those of `measure_importance`; they and the order are
    written next to the model. The logits before and after are compared in double precision.
    Source: DynaBERT, arXiv:2004.04037, section 2.1.
    Differs: the published code measures on the labels of the validation split, which the result is then scored on.
    """

    kind = "reorder"
    revision = 4
    deterministic = True
    model: str = stage_input()  #: stage whose model is reordered
    split: str | None = None  #: split with the labels for measuring importance; null: train, or validation as published
    examples: int | None = field(
        default=_EXAMPLES, validator=validators.optional(validators.ge(1))
    )  #: number of examples, evenly spread over the split; null: all
    batch_size: int = field(default=8, validator=validators.ge(1))  #: examples whose mean loss has one gradient
    as_published: bool = False  #: gradients accumulate over the batches, and they are those of the validation split

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Check that the task has the split."""
        if self._split() not in task.splits:
            raise unknown("split", self._split(), task.splits)
        return self

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """The spec of the model that is reordered."""
        return Composition(spec=inputs["model"][0])

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        """The model that is reordered, with unchanged sizes."""
        return inputs["model"][0]

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the reordered model, the importances and the order.

        Raises:
            UserError: the reordered model computes another function, or the model is quantized.
        """
        source = inputs.one("model")
        model = read_model(source, context)
        measured = self._batches(source.folder, context)
        order = descending(importance := measure_importance(model, measured, as_published=self.as_published))
        before = model.checkpoint()
        after = reordered(before, order)
        batch = next(_read(SELECT, 16, 16, source.folder, context))
        difference = _logit_difference(before, after, batch, context.device)
        if not difference <= TOLERANCE:
            raise UserError(
                f"{context.stage}: reordering changed the logits by {difference:.3g}, more than the tolerance of"
                f" {TOLERANCE:g}"
            )
        _write(importance, order, context.folder)
        metrics = {"reorder/logit_difference": difference}
        evaluate_and_save(BertClassifier.from_checkpoint(after), source.folder, context, metrics=metrics)

    def _split(self) -> str:
        return self.split or (VALIDATION if self.as_published else TRAIN)

    def _batches(self, tokenizer: Path, context: Context) -> Iterator[Batch]:
        """The batches of the split; reports progress."""
        size = len(context.task.splits[self._split()])
        count = min(self.examples or size, size)
        for number, batch in enumerate(_read(self._split(), count, self.batch_size, tokenizer, context)):
            context.progress(min(number * self.batch_size / count, 1.0), "importance of heads and neurons")
            yield batch


def _read(split: str, count: int, batch_size: int, tokenizer: Path, context: Context) -> Iterator[Batch]:
    """Batches of `count` examples of a split, evenly spread over it and in its order."""
    examples = load_examples(context.task, split, tokenizer, input_length(tokenizer, context))
    count = min(count, len(examples))
    positions = np.arange(count) * len(examples) // count
    return batches(examples, group_in_order(positions, batch_size), device=context.device)


def _logit_difference(before: Checkpoint, after: Checkpoint, batch: Batch, device: str) -> float:
    """The largest difference of two models' logits, relative to 1 or to that of the first model if larger."""
    with torch.no_grad():
        expected, logits = (
            BertClassifier.from_checkpoint(checkpoint).double().eval().to(device)(batch).logits
            for checkpoint in (before, after)
        )
    return float(((logits - expected).abs() / expected.abs().clamp(min=1.0)).max())


def _write(importance: Importance, order: NeuronOrder, folder: Path) -> None:
    values = {"heads": importance.heads.contiguous(), "neurons": importance.neurons.contiguous()}
    save_file(values, folder / IMPORTANCE_FILE)
    data = {"heads": order.heads.tolist(), "neurons": order.neurons.tolist()}
    (folder / ORDER_FILE).write_text(json.dumps(data) + "\n", encoding="utf-8")
