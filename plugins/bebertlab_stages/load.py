"""Loading an existing model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from attrs import evolve, field, frozen, validators

from bebertlab.api import (
    EXCLUDED_FROM_KEY,
    Codec,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    PlannedModels,
    Planning,
    QuantSpecs,
    SetupError,
    StageOptions,
    Task,
    UserError,
    check_classes,
    copy_model,
    evaluate_and_save,
    inspect_model,
    model_digest,
)


@frozen(kw_only=True)
class LoadStage(StageOptions):
    """Take a model with its tokenizer from a folder: an imported one, or one that another recipe trained.

    It is copied and evaluated on the recipe's task; it can teach, be trained further, be a member or be evaluated.
    Its outputs are permuted into the order of the task's classes, by the names in its config.json.
    It reads inputs up to its own length, not that of the recipe's encoder, as do models that are trained from it.
    The key in the store depends on the content of the folder, not on its path.
    """

    kind = "load"
    revision = 8
    deterministic = True
    folder: Path = field(
        metadata=EXCLUDED_FROM_KEY
    )  #: as `model import` or a stage wrote it, or a Hugging Face classifier
    #: the task's classes in the order of the model's outputs, where the folder's config.json does not name them
    classes: tuple[str, ...] | None = None
    maximum_tokens: int | None = field(
        default=None, validator=validators.optional(validators.ge(3))
    )  #: longer inputs are truncated; null: as its tokenizer says, at most its positions
    digest: str | None = field(default=None)  #: sha256 of its content; computed when planned, checked where given

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Check that the folder has a model for the task with its tokenizer, and fill in the digest of its content."""
        model = inspect_model(self.folder, codec)
        check_classes(model, task, self.classes)
        length = model.longest_input(task, self.maximum_tokens)
        if self.digest not in (None, model.digest):
            raise UserError(
                f"the model in {model.folder} has the digest {model.digest}, not {self.digest}: it is another model"
            )
        return evolve(self, folder=model.folder, digest=model.digest, maximum_tokens=length)

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        """The model in the folder."""
        return inspect_model(self.folder, planning.codec).planned(self.maximum_tokens)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """The specification in the folder."""
        return Composition(spec=inspect_model(self.folder, codec).spec)

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write a copy of the model, its tokenizer and its logits."""
        if model_digest(self.folder) != self.digest:
            raise SetupError(f"{self.folder} changed since the recipe was planned; run it again")
        if self.maximum_tokens is None:
            raise UserError("maximum_tokens is not known; prepare() fills it in")
        model = copy_model(self.folder, context, maximum_tokens=self.maximum_tokens, classes=self.classes)
        evaluate_and_save(model, context.folder, context)
