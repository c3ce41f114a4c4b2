"""Encoders: where the full-precision weights and the vocabulary come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Protocol

from attrs import frozen

from bebertlab.interfaces.architecture import Architecture, Checkpoint
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.task import Task


class SavedTokenizer(Protocol):
    """A tokenizer that can be written beside a model; those of transformers are."""

    def __len__(self) -> int:
        """Rows of a word embedding that has one for every token."""

    def save_pretrained(self, folder: Path, /) -> object:
        """Write tokenizer.json and the files that go with it."""


@frozen(kw_only=True)
class EncoderOptions(Options):
    """What YAML says of the encoder a recipe starts from."""

    role: ClassVar[str] = "encoder"

    @property
    @abstractmethod
    def maximum_tokens(self) -> int:
        """Longest input in tokens; longer ones are truncated."""

    @abstractmethod
    def digest(self) -> str:
        """What the weights and vocabulary are beside the options: a hash of files; "" where the options say all."""

    @abstractmethod
    def tokenizer(self, texts: Iterable[str]) -> SavedTokenizer:
        """The tokenizer; `texts` are the training texts, for an encoder that makes its vocabulary from them."""

    @abstractmethod
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        """Full-precision weights with a fresh classifier of `classes` outputs, drawn with `seed`."""

    def plan(self, task: Task) -> Architecture | None:
        """The sizes of its checkpoint for a task, whose vocabulary may have other rows; None: not known before it runs.

        Asked when a recipe that trains it is planned, before anything runs; an encoder overrides it to say at once
        that its files do not suit the task.

        Raises:
            UserError: they do not.
        """
        return None
