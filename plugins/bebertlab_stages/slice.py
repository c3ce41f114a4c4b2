"""Slicing: a narrower or shallower model from a larger one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from attrs import evolve, field, frozen, validators

from bebertlab.api import (
    BertClassifier,
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
    evaluate_and_save,
    read_model,
    slice_depth,
    slice_width,
    sliced_architecture,
    stage_input,
)

_fraction = validators.optional([validators.gt(0), validators.le(1)])


@frozen(kw_only=True)
class SliceStage(StageOptions):
    """Keep a part of a full-precision model without training: its first heads and neurons, some of its layers."""

    kind = "slice"
    revision = 5
    deterministic = True
    model: str = stage_input()  #: stage whose model is sliced
    width: float | None = field(default=None, validator=_fraction)  #: fraction of heads and neurons to keep; null: all
    depth: float | None = field(default=None, validator=_fraction)  #: fraction of layers to keep, evenly spread

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Refuse a slice without a width and a depth."""
        if self.width is None and self.depth is None:
            raise UserError("set what to keep: a width (heads and neurons), a depth (layers), or both")
        return self

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """The spec of the model that is sliced."""
        return Composition(spec=inputs["model"][0])

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        """The sliced model; checks that it is not empty."""
        (model,) = inputs["model"]
        if model is None or model.architecture is None:
            return model
        return evolve(model, architecture=sliced_architecture(model.architecture, self.width or 1, self.depth or 1))

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the sliced model."""
        source = inputs.one("model")
        checkpoint = read_model(source, context).checkpoint()
        if self.width is not None:
            checkpoint = slice_width(checkpoint, self.width)
        if self.depth is not None:
            checkpoint = slice_depth(checkpoint, self.depth)
        evaluate_and_save(BertClassifier.from_checkpoint(checkpoint), source.folder, context)
