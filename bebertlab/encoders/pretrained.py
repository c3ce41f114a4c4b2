"""BERT checkpoints of the Hugging Face hub or of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from attrs import evolve, field, frozen, validators

from bebertlab.artifacts.model import model_digest
from bebertlab.data.tokenizer import ModelTokenizer, check_segments, read_tokenizer
from bebertlab.encoders.hub import model_folder
from bebertlab.errors import UserError
from bebertlab.files import read_json
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.stage import EXCLUDED_FROM_KEY_IF_PATH
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import meta_model
from bebertlab.model.checkpoint import random_tensor
from bebertlab.model.folder import CONFIGURATION
from bebertlab.model.huggingface import architecture_of, check_config, check_layers, check_unquantized, modern_names
from bebertlab.model.tensors import check_shapes
from bebertlab.model.weights import read_weights, weight_shapes

_BODY, _POOLER, _CLASSIFIER = "bert.", "bert.pooler.", "classifier."


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
    )  #: keep the first n; null: all
    maximum_tokens: int = field(default=128, validator=validators.ge(3))  #: longer inputs are truncated
    download: bool = False  #: fetch from the hub what the local cache does not hold

    def digest(self) -> str:
        """Hash of the files.

        Raises:
            SetupError: a file is missing, or a pointer of git-lfs.
            UserError: a file is damaged, or the weights are not those of a BERT.
        """
        folder = self._folder()
        config = self._config(folder)
        self._sizes(folder, config, weight_shapes(folder), classes=1)
        return model_digest(folder)

    def tokenizer(self, texts: Iterable[str]) -> ModelTokenizer:
        """The tokenizer of the checkpoint, as its files say."""
        try:
            return read_tokenizer(self._folder())
        except UserError as error:
            raise type(error)(f"encoder '{self.name}': {error}") from error

    def plan(self, task: Task) -> Architecture:
        """The sizes of the checkpoint; check that it has embeddings for the inputs of the task."""
        tokenizer, folder = self.tokenizer(()), self._folder()
        config = self._config(folder)
        with self._named(folder):
            sizes = architecture_of(config, task.outputs)
            check_segments(tokenizer, sizes, pairs=task.has_pairs, model="the checkpoint")
            return self._architecture(sizes, len(tokenizer))

    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        """The weights of the checkpoint with a fresh classifier, and a fresh pooler where pre-training had none."""
        folder = self._folder()
        config = self._config(folder)
        weights = read_weights(folder)
        sizes = self._sizes(folder, config, {name: tensor.shape for name, tensor in weights.items()}, classes)
        given = modern_names(weights)
        with self._named(folder):
            architecture = self._architecture(sizes, vocabulary)
        generator = torch.Generator().manual_seed(seed)
        tensors = {}
        for name, tensor in meta_model(architecture, QuantSpec()).state_dict().items():
            if name.startswith(_CLASSIFIER) or name not in given:
                tensors[name] = random_tensor(name, tensor.shape, generator)
            else:
                tensors[name] = given[name].to(torch.float32)
        return Checkpoint(architecture=architecture, spec=QuantSpec(), tensors=tensors)

    def _folder(self) -> Path:
        return model_folder(self.name, download=self.download)

    def _config(self, folder: Path) -> dict[str, Any]:
        config = read_json(folder / CONFIGURATION)
        with self._named(folder):
            check_config(config)
            check_unquantized(config)
        return config

    def _sizes(
        self, folder: Path, config: Mapping[str, Any], shapes: Mapping[str, torch.Size], classes: int
    ) -> Architecture:
        """The sizes of the whole checkpoint, whose tensors below the classifier are all there and of use."""
        with self._named(folder):
            sizes = architecture_of(config, classes)
            body = {name: shape for name, shape in modern_names(shapes).items() if name.startswith(_BODY)}
            check_layers(sizes.layers, body or shapes)
            pooled = any(name.startswith(_POOLER) for name in body)
            wanted = meta_model(sizes, QuantSpec()).state_dict()
            unpooled = {name: tensor for name, tensor in wanted.items() if pooled or not name.startswith(_POOLER)}
            check_shapes(body, {name: tensor for name, tensor in unpooled.items() if name.startswith(_BODY)})
        return sizes

    @contextmanager
    def _named(self, folder: Path) -> Iterator[None]:
        """Put the name of the encoder before an error."""
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
