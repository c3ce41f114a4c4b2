"""A model that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from attrs import evolve, field, frozen

from bebertlab.artifacts.classes import class_order, load_classifier
from bebertlab.artifacts.digest import model_digest
from bebertlab.artifacts.model import TOKENIZER_FILES, write_model
from bebertlab.errors import EnvironmentFault, UserError
from bebertlab.files import refuse_pointer
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.stage import PLACE, Codec, Composition, Context, Designs, Inputs, StageOptions
from bebertlab.interfaces.task import Task
from bebertlab.nn.folder import describe_model
from bebertlab.train.examples import TOKENIZER_FILE


@frozen(kw_only=True)
class LoadStage(StageOptions):
    """Take a model with its tokenizer from a folder: an imported one, or one that another recipe made.

    It is copied and evaluated on the recipe's task; it can teach, be trained further, be a member or be evaluated.
    Its outputs are put into the order of the task's classes, by the names in its config.json.
    The key in the store follows the content of the folder, not its place.
    """

    kind = "load"
    revision = 5
    draws = False
    folder: Path = field(metadata=PLACE)  #: as `model import` or a stage wrote it, or a Hugging Face classifier
    #: the task's classes in the order of the model's outputs, where the folder's config.json does not name them
    classes: tuple[str, ...] | None = None
    digest: str | None = field(default=None)  #: of its content, found when the recipe is planned; given, it must be it

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Check that the folder has a model for the task and its tokenizer, and fill in what its content is."""
        folder = self.folder.expanduser()
        if not folder.is_dir():
            raise EnvironmentFault(f"{folder}: no such folder")
        sizes, _ = describe_model(folder, codec)
        class_order(folder, sizes.classes, task, self.classes)
        if not (folder / TOKENIZER_FILE).is_file():
            raise EnvironmentFault(
                f"{folder} holds no {TOKENIZER_FILE}; `bebertlab model import --tokenizer` puts one beside a model"
            )
        for name in TOKENIZER_FILES:
            if (folder / name).is_file():
                refuse_pointer(folder / name)
        found = model_digest(folder)
        if self.digest not in (None, found):
            raise UserError(f"the model in {folder} has the digest {found}, not {self.digest}: it is another one")
        return evolve(self, folder=folder, digest=found)

    def composition(self, inputs: Designs, codec: Codec) -> Composition:
        """The design that the folder names."""
        return Composition(design=describe_model(self.folder, codec)[1])

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write a copy of the model, its tokenizer and what it answers."""
        if model_digest(self.folder) != self.digest:
            raise EnvironmentFault(f"{self.folder} changed since the recipe was planned; run it again")
        model = load_classifier(self.folder, context, self.classes)
        _check_lengths(model.architecture, self.folder, context.encoder.maximum_tokens)
        write_model(model, self.folder, context)


def _check_lengths(sizes: Architecture, folder: Path, maximum_tokens: int) -> None:
    from tokenizers import Tokenizer

    if maximum_tokens > sizes.positions:
        raise UserError(
            f"encoder.maximum_tokens is {maximum_tokens}; the model in {folder} has {sizes.positions} positions"
        )
    words = Tokenizer.from_file(str(folder / TOKENIZER_FILE)).get_vocab_size()
    if words > sizes.vocabulary:
        raise UserError(
            f"the tokenizer in {folder} has {words} tokens, the word embedding only {sizes.vocabulary} rows"
        )
