"""Encoders: sources of full-precision weights and their tokenizer."""

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
    """A tokenizer that can be saved with a model, such as those of transformers."""

    def __len__(self) -> int:
        """The number of rows of a word embedding with one for every token."""

    def save_pretrained(self, folder: Path, /) -> object:
        """Write tokenizer.json and its settings into an existing folder."""


@frozen(kw_only=True)
class EncoderOptions(Options):
    """The options of the encoder that a recipe starts from."""

    role: ClassVar[str] = "encoder"

    @property
    @abstractmethod
    def maximum_tokens(self) -> int:
        """The length of the longest input in tokens; longer ones are truncated."""

    @abstractmethod
    def digest(self) -> str:
        """A hash of the files with weights and vocabulary; "" if the options determine both."""

    @abstractmethod
    def tokenizer(self, texts: Iterable[str]) -> SavedTokenizer:
        """The tokenizer; `texts` are the training texts, for encoders that build their vocabulary from them."""

    @abstractmethod
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        """Full-precision weights with a new classifier of `classes` outputs, initialized with `seed`."""

    def plan(self, task: Task) -> Architecture | None:
        """The sizes of its checkpoint for a task, up to the rows of the word embedding; None: not known in advance.

        Called when a recipe that trains the encoder is planned, before anything runs. Override it to refuse a task
        that the encoder's files do not support.

        Raises:
            UserError: the encoder does not support the task.
        """
        return None
