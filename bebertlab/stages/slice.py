"""A narrower or shallower model out of a larger one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from attrs import evolve, field, frozen, validators

from bebertlab.artifacts.model import evaluate_and_save, read_model
from bebertlab.errors import UserError
from bebertlab.interfaces.stage import (
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
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import BertClassifier
from bebertlab.model.slice import kept_layers, scaled_width, slice_depth, slice_width

_part = validators.optional([validators.gt(0), validators.le(1)])


@frozen(kw_only=True)
class SliceStage(StageOptions):
    """Keep a part of a full-precision model, which is not trained: the first heads and neurons, some of the layers."""

    kind = "slice"
    revision = 5
    deterministic = True
    model: str = stage_input()  #: stage whose model is sliced
    width: float | None = field(default=None, validator=_part)  #: part of heads and neurons that stays; null: all
    depth: float | None = field(default=None, validator=_part)  #: part of the layers that stays, evenly spread

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Refuse a slice that says nothing."""
        if self.width is None and self.depth is None:
            raise UserError("name the part that stays: a width (heads and neurons), a depth (layers), or both")
        return self

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """The design of the model that is sliced."""
        return Composition(spec=inputs["model"][0])

    def plan_model(
        self, inputs: Mapping[str, tuple[PlannedModel | None, ...]], planning: Planning
    ) -> PlannedModel | None:
        """The sliced model; check that a part stays."""
        (model,) = inputs["model"]
        if model is None or model.architecture is None:
            return model
        sizes = model.architecture if self.width is None else scaled_width(model.architecture, self.width)
        if self.depth is not None:
            sizes = evolve(sizes, layers=len(kept_layers(sizes.layers, self.depth)))
        return evolve(model, architecture=sizes)

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the sliced model."""
        source = inputs.one("model")
        checkpoint = read_model(source, context).checkpoint()
        if self.width is not None:
            checkpoint = slice_width(checkpoint, self.width)
        if self.depth is not None:
            checkpoint = slice_depth(checkpoint, self.depth)
        evaluate_and_save(BertClassifier.from_checkpoint(checkpoint), source.folder, context)
