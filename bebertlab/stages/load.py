"""A model that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Self

from attrs import evolve, field, frozen, validators

from bebertlab.artifacts.classes import class_order, load_classifier
from bebertlab.artifacts.model import evaluate_and_save, model_digest
from bebertlab.data.tokenizer import (
    ModelTokenizer,
    check_segments,
    check_vocabulary,
    has_tokenizer,
    read_tokenizer,
    set_maximum_tokens,
)
from bebertlab.data.tokenizer_file import TOKENIZER_FILE
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.stage import (
    EXCLUDED_FROM_KEY,
    Codec,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    Planning,
    QuantSpecs,
    StageOptions,
    TokenizerSource,
)
from bebertlab.interfaces.task import Task
from bebertlab.model.folder import describe_model
from bebertlab.model.weight_files import refuse_adapter


@frozen(kw_only=True)
class LoadStage(StageOptions):
    """Take a model with its tokenizer from a folder: an imported one, or one that another recipe made.

    It is copied and evaluated on the recipe's task; it can teach, be trained further, be a member or be evaluated.
    Its outputs are put into the order of the task's classes, by the names in its config.json.
    It reads inputs up to its own length, not that of the recipe's encoder, and so does what is trained from it.
    The key in the store follows the content of the folder, not its place.
    """

    kind = "load"
    revision = 7
    deterministic = True
    folder: Path = field(
        metadata=EXCLUDED_FROM_KEY
    )  #: as `model import` or a stage wrote it, or a Hugging Face classifier
    #: the task's classes in the order of the model's outputs, where the folder's config.json does not name them
    classes: tuple[str, ...] | None = None
    maximum_tokens: int | None = field(
        default=None, validator=validators.optional(validators.ge(3))
    )  #: longer inputs are truncated; null: as its tokenizer says, at most its positions
    digest: str | None = field(default=None)  #: sha256 of its content; found at planning, checked where given

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Check that the folder has a model for the task and its tokenizer, and fill in what its content is."""
        folder = self.folder.expanduser()
        if not folder.is_dir():
            raise SetupError(f"{folder}: no such folder")
        refuse_adapter(folder)
        found = model_digest(folder)
        sizes, _ = _describe(folder, found, codec)
        class_order(folder, sizes.classes, task, self.classes)
        if not has_tokenizer(folder):
            raise SetupError(
                f"{folder} holds no {TOKENIZER_FILE}; `bebertlab model import --tokenizer` puts one beside a model"
            )
        length = _checked_length(read_tokenizer(folder), sizes, task, self.maximum_tokens)
        if self.digest not in (None, found):
            raise UserError(f"the model in {folder} has the digest {found}, not {self.digest}: it is another one")
        return evolve(self, folder=folder, digest=found, maximum_tokens=length)

    def plan_model(
        self, inputs: Mapping[str, tuple[PlannedModel | None, ...]], planning: Planning
    ) -> PlannedModel | None:
        """The model in the folder."""
        tokenizer = read_tokenizer(self.folder)
        sizes, _ = _describe(self.folder, str(self.digest), planning.codec)
        source = TokenizerSource(
            name=f"the tokenizer of {self.folder}", key=str(self.digest), parts=lambda: tokenizer.parts
        )
        return PlannedModel(tokenizer=source, maximum_tokens=self.maximum_tokens or sizes.positions, architecture=sizes)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """The design that the folder names."""
        return Composition(spec=_describe(self.folder, str(self.digest), codec)[1])

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write a copy of the model, its tokenizer and what it answers."""
        if model_digest(self.folder) != self.digest:
            raise SetupError(f"{self.folder} changed since the recipe was planned; run it again")
        if self.maximum_tokens is None:
            raise UserError("maximum_tokens is not known; prepare() fills it in")
        model = load_classifier(self.folder, context, self.classes)
        read_tokenizer(self.folder).save_pretrained(context.folder)
        set_maximum_tokens(context.folder, self.maximum_tokens)
        evaluate_and_save(model, context.folder, context)


@frozen(kw_only=True)
class _Model:
    folder: Path
    digest: str
    codec: Codec = field(eq=id)  # another one may know other parts


def _describe(folder: Path, digest: str, codec: Codec) -> tuple[Architecture, QuantSpec]:
    """The sizes and the design of a model, read once in a process: of a pickle all numbers are read for them."""
    return _described(_Model(folder=folder, digest=digest, codec=codec))


@lru_cache(maxsize=16)
def _described(model: _Model) -> tuple[Architecture, QuantSpec]:
    return describe_model(model.folder, model.codec)


def _checked_length(tokenizer: ModelTokenizer, sizes: Architecture, task: Task, wanted: int | None) -> int:
    """The longest input: the wanted one, or the model's own.

    Raises:
        UserError: the model has no embeddings for it, or for the tokens and segments of its tokenizer.
    """
    check_vocabulary(tokenizer, sizes)
    check_segments(tokenizer, sizes, pairs=task.has_pairs, model=f"the model in {tokenizer.folder}")
    if wanted is None:
        return min(tokenizer.maximum_tokens or sizes.positions, sizes.positions)
    if wanted > sizes.positions:
        raise UserError(
            f"maximum_tokens is {wanted}; the model in {tokenizer.folder} has {sizes.positions} positions, so set it to"
            f" {sizes.positions} or less"
        )
    return wanted
