"""BERT checkpoints of the Hugging Face hub or of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve, field, frozen, validators

from bebertlab.api import (
    EXCLUDED_FROM_KEY_IF_PATH,
    Architecture,
    Checkpoint,
    EncoderOptions,
    ModelTokenizer,
    Task,
    UserError,
    architecture_of,
    check_segments,
    model_digest,
    pretrained_architecture,
    pretrained_checkpoint,
    pretrained_config,
    pretrained_folder,
    read_tokenizer,
    read_weights,
    weight_shapes,
)


@frozen(kw_only=True)
class PretrainedEncoder(EncoderOptions):
    """A BERT checkpoint: a folder that transformers can load, or a hub id from the local cache."""

    kind = "pretrained"
    revision = 3
    name: str = field(
        validator=validators.min_len(1), metadata=EXCLUDED_FROM_KEY_IF_PATH
    )  #: path of a folder, or hub id such as bert-base-uncased
    layers: int | None = field(
        default=None, validator=validators.optional(validators.ge(1))
    )  #: number of first layers to keep; null: all
    maximum_tokens: int = field(default=128, validator=validators.ge(3))  #: longer inputs are truncated
    download: bool = False  #: download from the hub what the local cache lacks

    def digest(self) -> str:
        """The sha256 of the files.

        Raises:
            SetupError: a file is missing, or a pointer of git-lfs.
            UserError: a file is damaged, or the weights are not those of a BERT.
        """
        folder = self._folder()
        with self._errors_named(folder):
            config = pretrained_config(folder)
        shapes = weight_shapes(folder)
        with self._errors_named(folder):
            pretrained_architecture(config, shapes, classes=1)
        return model_digest(folder)

    def tokenizer(self, texts: Iterable[str]) -> ModelTokenizer:
        """The tokenizer of the checkpoint, as its files say."""
        try:
            return read_tokenizer(self._folder())
        except UserError as error:
            raise type(error)(f"encoder '{self.name}': {error}") from error

    def plan(self, task: Task) -> Architecture:
        """The sizes of the checkpoint, which must have embeddings for the inputs of the task."""
        tokenizer, folder = self.tokenizer(()), self._folder()
        with self._errors_named(folder):
            sizes = architecture_of(pretrained_config(folder), task.outputs)
            check_segments(tokenizer, sizes, pairs=task.has_pairs, model="the checkpoint")
            return self._architecture(sizes, len(tokenizer))

    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        """The weights of the checkpoint with a new classifier, and a new pooler where pre-training had none."""
        folder = self._folder()
        with self._errors_named(folder):
            config = pretrained_config(folder)
        weights = read_weights(folder)
        with self._errors_named(folder):
            shapes = {name: tensor.shape for name, tensor in weights.items()}
            architecture = self._architecture(pretrained_architecture(config, shapes, classes), vocabulary)
        return pretrained_checkpoint(weights, architecture, seed)

    def _folder(self) -> Path:
        return pretrained_folder(self.name, download=self.download)

    @contextmanager
    def _errors_named(self, folder: Path) -> Iterator[None]:
        """Put the encoder and its folder before the text of an error."""
        try:
            yield
        except UserError as error:
            raise type(error)(f"encoder '{self.name}': {folder}: {'; '.join(str(error).splitlines())}") from error

    def _architecture(self, sizes: Architecture, vocabulary: int) -> Architecture:
        if vocabulary > sizes.vocabulary:
            raise UserError(
                f"the ids of its tokens go up to {vocabulary - 1}, the word embedding has {sizes.vocabulary} rows"
            )
        if self.maximum_tokens > sizes.positions:
            raise UserError(
                f"maximum_tokens is {self.maximum_tokens}; the checkpoint has {sizes.positions} positions, so set"
                f" encoder.maximum_tokens to {sizes.positions} or less"
            )
        layers = sizes.layers if self.layers is None else self.layers
        if layers > sizes.layers:
            raise UserError(f"layers is {layers}; the checkpoint has {sizes.layers}")
        return evolve(sizes, layers=layers)
