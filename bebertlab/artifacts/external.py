"""Models in folders outside the store: imported ones, those of other recipes, and classifiers of Hugging Face."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from attrs import field, frozen

from bebertlab.artifacts.classes import class_order, read_classifier
from bebertlab.artifacts.model import model_digest
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
from bebertlab.interfaces.stage import Codec, Context, PlannedModel, TokenizerSource
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import BertClassifier
from bebertlab.model.folder import describe_model
from bebertlab.model.weight_files import refuse_adapter


@frozen(kw_only=True)
class ExternalModel:
    """A classifier in a folder, and its tokenizer."""

    folder: Path
    digest: str  #: sha256 of the files of the model and its tokenizer
    architecture: Architecture
    spec: QuantSpec

    def planned(self, maximum_tokens: int | None = None) -> PlannedModel:
        """The model as planning knows it; `maximum_tokens`: its longest input, None: as long as it has positions."""
        tokenizer = read_tokenizer(self.folder)
        source = TokenizerSource(name=f"the tokenizer of {self.folder}", key=self.digest, parts=lambda: tokenizer.parts)
        length = maximum_tokens or self.architecture.positions
        return PlannedModel(tokenizer=source, maximum_tokens=length, architecture=self.architecture)

    def longest_input(self, task: Task, maximum_tokens: int | None = None) -> int:
        """The longest input in tokens: `maximum_tokens`, or by default as its tokenizer says, at most its positions.

        Raises:
            UserError: the model has too few positions for it, or too few embeddings for the tokens or segments of its
                tokenizer.
        """
        tokenizer, sizes = read_tokenizer(self.folder), self.architecture
        check_vocabulary(tokenizer, sizes)
        check_segments(tokenizer, sizes, pairs=task.has_pairs, model=f"the model in {self.folder}")
        if maximum_tokens is None:
            return tokenizer.longest_input(sizes)
        if maximum_tokens > sizes.positions:
            raise UserError(
                f"maximum_tokens is {maximum_tokens}; the model in {self.folder} has {sizes.positions} positions, so"
                f" set it to {sizes.positions} or less"
            )
        return maximum_tokens


def inspect_model(folder: Path, codec: Codec) -> ExternalModel:
    """The model in a folder, without reading its weights where the format allows that.

    Raises:
        SetupError: the folder or the weights are missing.
        UserError: a file is damaged, or the weights are not those of a BERT classifier.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise SetupError(f"{folder}: no such folder")
    refuse_adapter(folder)
    digest = model_digest(folder)
    architecture, spec = _describe(_Request(folder=folder, digest=digest, codec=codec))
    return ExternalModel(folder=folder, digest=digest, architecture=architecture, spec=spec)


def check_classes(model: ExternalModel, task: Task, classes: Sequence[str] | None = None) -> None:
    """Check that the outputs of a model are the classes of a task, and that the model has a tokenizer.

    `classes`: names of the task's classes in the order of the outputs, where config.json does not have them.

    Raises:
        SetupError: there is no tokenizer.
        UserError: the outputs are not the task's classes, or `classes` contradicts their names.
    """
    class_order(model.folder, model.architecture.classes, task, classes)
    if not has_tokenizer(model.folder):
        raise SetupError(
            f"{model.folder} has no {TOKENIZER_FILE}; `bebertlab model import --tokenizer` writes one next to a model"
        )


def copy_model(
    folder: Path, context: Context, *, maximum_tokens: int, classes: Sequence[str] | None = None
) -> BertClassifier:
    """The model in a folder for the task of the context; copies its tokenizer into the folder of the context.

    `maximum_tokens`: longer inputs are truncated; `classes`: as in `check_classes`. Warns where the order of the
    outputs is not known by names.

    Raises:
        SetupError: a file is missing.
        UserError: a file is damaged, or the outputs are not the task's classes.
    """
    checkpoint = read_classifier(folder, context, classes)
    tokenizer: ModelTokenizer = read_tokenizer(folder)
    tokenizer.save_pretrained(context.folder)
    set_maximum_tokens(context.folder, maximum_tokens)
    return BertClassifier.from_checkpoint(checkpoint)


@frozen(kw_only=True)
class _Request:
    folder: Path
    digest: str
    codec: Codec = field(eq=id)  # another codec may have other plugins


@lru_cache(maxsize=16)
def _describe(request: _Request) -> tuple[Architecture, QuantSpec]:
    """Cached, since a pickle has to be read as a whole for its shapes."""
    return describe_model(request.folder, request.codec)
