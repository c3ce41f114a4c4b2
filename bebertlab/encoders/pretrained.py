"""BERT checkpoints of the Hugging Face hub or of a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from attrs import evolve, field, frozen, validators

from bebertlab.encoders.hub import CONFIGURATION, files_digest, model_folder
from bebertlab.encoders.weights import read_weights
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint, Design
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.folder import read_json
from bebertlab.nn.huggingface import architecture_of, modern_names
from bebertlab.nn.initial import random_tensor
from bebertlab.nn.tensors import check_tensors

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: drawn anew: the classifier always, the pooler where pre-training had none
_FRESH = ("classifier.", "bert.pooler.")
_or_all = validators.optional(validators.ge(1))


@frozen(kw_only=True)
class PretrainedEncoder(EncoderOptions):
    """A BERT checkpoint: a folder that transformers can load, or a hub id from the local cache."""

    kind = "pretrained"
    name: str = field(validator=validators.min_len(1))  #: path of a folder, or hub id such as bert-base-uncased
    layers: int | None = field(
        default=None, validator=validators.optional(validators.ge(1))
    )  #: keep the first n; null: all
    maximum_tokens: int = field(default=128, validator=validators.ge(3))  #: longer inputs are truncated
    download: bool = False  #: fetch from the hub what the local cache does not hold

    def digest(self) -> str:
        """Hash of the files."""
        return files_digest(self._folder())

    def tokenizer(self, texts: Iterable[str]) -> PreTrainedTokenizerBase:
        """The tokenizer of the checkpoint."""
        from transformers import BertTokenizer

        folder = self._folder()
        tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True, model_max_length=self.maximum_tokens)
        if len(tokenizer) <= len(tokenizer.all_special_tokens):
            raise UserError(f"encoder '{self.name}': the tokenizer in {folder} has no words")
        return tokenizer

    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        """The weights of the checkpoint with a fresh classifier."""
        folder = self._folder()
        try:
            return self._checkpoint(folder, vocabulary, classes, seed)
        except UserError as error:
            raise type(error)(f"encoder '{self.name}': {error}") from error

    def _folder(self) -> Path:
        return model_folder(self.name, download=self.download)

    def _checkpoint(self, folder: Path, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        architecture = self._architecture(architecture_of(read_json(folder / CONFIGURATION), classes), vocabulary)
        given = modern_names(read_weights(folder))
        tensors = {}
        generator = torch.Generator().manual_seed(seed)
        wanted = BertClassifier(architecture, Design()).state_dict()
        for name, tensor in wanted.items():
            if name.startswith("classifier.") or (name.startswith(_FRESH) and name not in given):
                tensors[name] = random_tensor(name, tensor.shape, generator)
            elif name in given:
                tensors[name] = given[name].to(torch.float32)
        check_tensors(tensors, wanted)
        return Checkpoint(architecture=architecture, design=Design(), tensors=tensors)

    def _architecture(self, sizes: Architecture, vocabulary: int) -> Architecture:
        if vocabulary > sizes.vocabulary:
            raise UserError(f"the tokenizer has {vocabulary} tokens, the word embedding only {sizes.vocabulary} rows")
        if self.maximum_tokens > sizes.positions:
            raise UserError(f"maximum_tokens is {self.maximum_tokens}; the checkpoint has {sizes.positions} positions")
        layers = sizes.layers if self.layers is None else self.layers
        if layers > sizes.layers:
            raise UserError(f"layers is {layers}; the checkpoint has {sizes.layers}")
        return evolve(sizes, layers=layers)
