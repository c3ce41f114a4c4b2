"""Splitting a model into one with more branches that computes the same function."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from attrs import evolve, field, frozen, validators
from torch import Tensor

from bebertlab.api import (
    SELECT,
    Artifact,
    BertClassifier,
    Checkpoint,
    Codec,
    Composition,
    Context,
    Equality,
    Examples,
    Inputs,
    LabelsOptions,
    PlannedModel,
    PlannedModels,
    Planning,
    QuantSpecs,
    SplitterOptions,
    Splitting,
    StageOptions,
    UserError,
    batches,
    compare_models,
    evaluate_and_save,
    evaluation_plan,
    input_length,
    label_losses,
    load_examples,
    predict,
    read_model,
    splitter_metric,
    stage_input,
)

DETAILS_FILE = "split.json"


@frozen(kw_only=True)
class SplitStage(StageOptions):
    """Split the quantized weights of a model into summed branches, and check that it still computes the same function.

    Both models run in double precision on a batch of the select split. Their logits have to agree, or every module has
    to agree on equal inputs: then the logits differ only because rounding moved an activation across the threshold
    between two levels. Modules that the splitter changes on purpose are excluded; with such modules, all
    others have to agree on equal inputs.
    """

    kind = "split"
    revision = 6
    deterministic = True
    model: str = stage_input()  #: stage whose model is split
    splitter: SplitterOptions = field()  #: how the weights are split
    #: largest difference of logits or modules, relative to 1 or to the value if that is larger
    tolerance: float = field(default=1e-5, validator=validators.gt(0))

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition | None:
        """The specification of the split model, and the loss that the splitter measures."""
        source = inputs["model"][0]
        spec = None if source is None else self.splitter.spec(source)
        return None if spec is None else Composition(spec=spec, parts=(LabelsOptions(),))

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        """The model that is split; a splitter may change its sizes."""
        (model,) = inputs["model"]
        return None if model is None else evolve(model, architecture=None)

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the split model.

        Raises:
            UserError: the split model computes another function.
        """
        source = inputs.one("model")
        before = _cast(read_model(source, context).checkpoint(), torch.float64)
        length = input_length(source.folder, context)
        examples = load_examples(context.task, SELECT, source.folder, length, cache=context.cache)
        splitting = self.splitter.build().split(before, _Measure(examples, context))
        original, split = (_model(checkpoint, context.device) for checkpoint in (before, splitting.checkpoint))
        batch = next(batches(examples, evaluation_plan(original, examples, context.device), device=context.device))
        equality = compare_models(original, split, batch, splitting.changed)
        self._check(equality, splitting, context)
        differences = {"logit_difference": equality.logits, "module_difference": equality.modules}
        metrics = {splitter_metric(name): value for name, value in {**differences, **splitting.metrics}.items()}
        self._write(splitting, source, metrics, context)

    def _check(self, equality: Equality, splitting: Splitting, context: Context) -> None:
        logits_agree = equality.logits <= self.tolerance and not splitting.changed
        if not (equality.modules <= self.tolerance or logits_agree):
            count = len(splitting.changed)
            excluded = f", {count} modules that it changes on purpose excluded" if count else ""
            raise UserError(
                f"{context.stage}: splitter '{self.splitter.kind}' changed the logits by {equality.logits:.3g} (the"
                f" largest difference is {equality.modules:.3g} at {equality.module}{excluded}), more than the"
                f" tolerance of {self.tolerance:g}; it does not preserve the function of models of this scheme"
            )

    def _write(self, splitting: Splitting, source: Artifact, metrics: Mapping[str, float], context: Context) -> None:
        model = BertClassifier.from_checkpoint(_cast(splitting.checkpoint, torch.float32))
        if splitting.details:
            text = json.dumps(splitting.details, indent=2)
            (context.folder / DETAILS_FILE).write_text(text + "\n", encoding="utf-8")
        evaluate_and_save(model, source.folder, context, metrics=metrics)


class _Measure:
    """The mean loss of checkpoints on labels; those of equal architecture and spec share a model."""

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
