"""A model of more branches that computes the same."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from attrs import evolve, field, frozen, validators
from torch import Tensor

from bebertlab.artifacts.model import evaluate_and_save, input_length, read_model
from bebertlab.data.batches import batches
from bebertlab.data.examples import Examples, load_examples
from bebertlab.errors import UserError
from bebertlab.inference.equality import Equality, compare
from bebertlab.inference.predict import evaluation_plan, predict
from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.interfaces.splitter import SplitterOptions, Splitting
from bebertlab.interfaces.stage import (
    Artifact,
    Codec,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    Planning,
    QuantSpecs,
    StageOptions,
    stage_input,
)
from bebertlab.interfaces.task import SELECT
from bebertlab.model.bert import BertClassifier
from bebertlab.stages.labels import LabelsOptions, label_losses

DETAILS_FILE = "split.json"


@frozen(kw_only=True)
class SplitStage(StageOptions):
    """Split the quantized weights of a model into summed branches, and check that it still computes the same.

    The check runs both models in double precision, on a batch of the select split. The logits have to agree; where
    they do not, every module has to agree on the same inputs: then all that differs is on which side of a border
    between two activation levels the last bit of a number fell. Modules that the splitter changes on purpose are left
    out, and all others have to agree one by one.
    """

    kind = "split"
    revision = 5
    deterministic = True
    model: str = stage_input()  #: stage whose model is split
    splitter: SplitterOptions = field()  #: how
    tolerance: float = field(
        default=1e-5, validator=validators.gt(0)
    )  #: of logits or modules, relative to 1 or to theirs

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition | None:
        """What the splitter says it makes, and the loss that it measures."""
        source = inputs["model"][0]
        spec = None if source is None else self.splitter.spec(source)
        return None if spec is None else Composition(spec=spec, parts=(LabelsOptions(),))

    def plan_model(
        self, inputs: Mapping[str, tuple[PlannedModel | None, ...]], planning: Planning
    ) -> PlannedModel | None:
        """The model that is split; a splitter may make one of other sizes."""
        (model,) = inputs["model"]
        return None if model is None else evolve(model, architecture=None)

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the split model.

        Raises:
            UserError: the split model computes something else.
        """
        source = inputs.one("model")
        before = _cast(read_model(source, context).checkpoint(), torch.float64)
        length = input_length(source.folder, context)
        examples = load_examples(context.task, SELECT, source.folder, length, cache=context.cache)
        splitting = self.splitter.build().split(before, _Measure(examples, context))
        first, second = (_model(checkpoint, context.device) for checkpoint in (before, splitting.checkpoint))
        batch = next(batches(examples, evaluation_plan(first, examples, context.device), device=context.device))
        same = compare(first, second, batch, splitting.changed)
        self._check(same, splitting, context)
        found = {"logit_difference": same.logits, "module_difference": same.modules, **splitting.metrics}
        self._write(splitting, source, {f"split/{name}": value for name, value in found.items()}, context)

    def _check(self, same: Equality, splitting: Splitting, context: Context) -> None:
        agreed = same.modules <= self.tolerance or (same.logits <= self.tolerance and not splitting.changed)
        if not agreed:
            purpose = f" ({len(splitting.changed)} modules changed on purpose left out)" if splitting.changed else ""
            raise UserError(
                f"{context.stage}: splitter '{self.splitter.kind}' changed the logits by {same.logits:.3g} (the most at"
                f" {same.module}, by {same.modules:.3g}{purpose}), more than the tolerance of {self.tolerance:g};"
                " it does not keep the function of this model's scheme"
            )

    def _write(self, splitting: Splitting, source: Artifact, metrics: Mapping[str, float], context: Context) -> None:
        model = BertClassifier.from_checkpoint(_cast(splitting.checkpoint, torch.float32))
        if splitting.details:
            text = json.dumps(splitting.details, indent=2)
            (context.folder / DETAILS_FILE).write_text(text + "\n", encoding="utf-8")
        evaluate_and_save(model, source.folder, context, metrics=metrics)


class _Measure:
    """The mean loss of checkpoints on labels; those of one architecture and design share a model."""

    def __init__(self, examples: Examples, context: Context) -> None:
        self._examples, self._context = examples, context
        self._last: tuple[BertClassifier, Mapping[str, Tensor]] | None = None
        self._count = 0

    def __call__(self, checkpoint: Checkpoint) -> float:
        model = self._model(checkpoint)
        self._last = model, checkpoint.tensors
        logits = predict(model, self._examples, device=self._context.device)
        self._count += 1
        self._context.progress(0.0, f"{self._count} models measured")
        return float(label_losses(logits, self._examples.labels).mean())

    def _model(self, checkpoint: Checkpoint) -> BertClassifier:
        if self._last is not None:
            model, loaded = self._last
            if (model.architecture, model.spec) == (checkpoint.architecture, checkpoint.spec):
                others = {name: t for name, t in checkpoint.tensors.items() if t is not loaded.get(name)}
                model.load_state_dict(others, strict=False)
                return model
        return BertClassifier.from_checkpoint(checkpoint).to(self._context.device)


def _cast(checkpoint: Checkpoint, dtype: torch.dtype) -> Checkpoint:
    tensors: Mapping[str, Tensor] = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in checkpoint.tensors.items()
    }
    return evolve(checkpoint, tensors=tensors)


def _model(checkpoint: Checkpoint, device: str) -> BertClassifier:
    model = BertClassifier(checkpoint.architecture, checkpoint.spec).double()
    model.load_state_dict(checkpoint.tensors)
    return model.to(device)
