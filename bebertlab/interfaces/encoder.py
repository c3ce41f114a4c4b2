"""Encoders: where the full-precision weights and the vocabulary come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.interfaces.options import Options

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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
    def tokenizer(self, texts: Iterable[str]) -> PreTrainedTokenizerBase:
        """The tokenizer; `texts` are the training texts, for an encoder that makes its vocabulary from them."""

    @abstractmethod
    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        """Full-precision weights with a fresh classifier of `classes` outputs, drawn with `seed`."""
