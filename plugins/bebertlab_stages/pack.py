"""A model in as many bytes as its weights have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from attrs import Attribute, evolve, field, frozen

from bebertlab.api import (
    PACK_METRICS,
    Codec,
    Composition,
    Context,
    Inputs,
    QuantSpecs,
    StageOptions,
    Task,
    UserError,
    input_names,
    pack_artifact,
    stage_input,
    write_metrics,
)

#: kinds of stages with neither a model nor members
_WITHOUT_MODEL = ("evaluate", "pack")


def _at_least_one(_: object, attribute: Attribute[Any], examples: int | None) -> None:
    if examples is not None and examples < 1:
        raise ValueError(f"'{attribute.name}' must be at least 1, or null for all: {examples}")


@frozen(kw_only=True)
class PackStage(StageOptions):
    """Pack a model or a whole ensemble: weights take their own number of bits, in a folder that can be passed on.

    The packed model predicts some batches of every validation split, and the stage fails unless the answers are the
    stored ones and logits differ by at most 0.0001. Matrices without levels, or with more than 8 bits, stay in float32.
    """

    kind = "pack"
    deterministic = True
    metric_names = PACK_METRICS
    of: str = stage_input()  #: stage with a model, or a merge stage, which stands for its members
    #: the members of `of`; filled in when the recipe is planned
    members: str | tuple[str, ...] | None = stage_input(many=True, optional=True)

    #: at least so many of each validation split are compared, in whole batches; null: all of every evaluated split
    examples: int | None = field(default=256, validator=_at_least_one)

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Fill in the members of an ensemble, whose models are read."""
        (source,) = inputs["of"]
        if source.kind in _WITHOUT_MODEL:
            raise UserError(f"a stage of kind '{source.kind}' has no model to pack; name the stage that it reads")
        members = input_names(source).get("members")
        if self.members is not None and input_names(self)["members"] != members:
            raise UserError(f"members is filled in from the stage '{self.of}'; leave it out")
        return evolve(self, members=members)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """No model that another stage could train, and no parts besides those of its inputs."""
        return Composition()

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the packed model into the folder `packed`, and its size."""
        metrics = pack_artifact(inputs.one("of"), inputs.many("members"), context, examples=self.examples)
        write_metrics(metrics, context.folder)
