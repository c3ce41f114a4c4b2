"""A small BERT with random weights, for generated tasks and quick trials."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import field, frozen, validators

from bebertlab.encoders.vocabulary import vocabulary_of
from bebertlab.interfaces.architecture import Architecture, Checkpoint
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.task import Task
from bebertlab.model.checkpoint import random_checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_size = validators.ge(1)
_probability = validators.and_(validators.ge(0.0), validators.lt(1.0))


@frozen(kw_only=True)
class TinyEncoder(EncoderOptions):
    """Random weights, and a vocabulary made from the training texts."""

    kind = "tiny"
    layers: int = field(default=2, validator=_size)  #: of the encoder
    hidden: int = field(default=64, validator=_size)  #: width of the hidden states
    heads: int = field(default=4, validator=_size)  #: of each layer
    head_size: int = field(default=16, validator=_size)  #: heads * head_size need not be hidden
    ffn: int = field(default=128, validator=_size)  #: width of the feed-forward part
    maximum_tokens: int = field(default=64, validator=validators.ge(3))  #: longer inputs are truncated
    dropout: float = field(default=0.0, validator=_probability)  #: everywhere; it slows learning from random weights
    words: int = field(default=2000, validator=validators.ge(0))  #: most frequent words with a token of their own
    spread: float = field(default=0.02, validator=validators.gt(0))  #: standard deviation of the first weights

    def digest(self) -> str:
        """Nothing: the options say all."""
        return ""

    def tokenizer(self, texts: Iterable[str]) -> PreTrainedTokenizerBase:
        """A real BERT tokenizer over a vocabulary of the texts."""
        from transformers import BertTokenizer

        # `vocab_file=` would be taken without a word and give a vocabulary of five tokens
        return BertTokenizer(vocab=vocabulary_of(texts, self.words), model_max_length=self.maximum_tokens)

    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        """Weights drawn with the seed."""
        return random_checkpoint(self.architecture(vocabulary, classes), seed, self.spread)

    def plan(self, task: Task) -> Architecture:
        """The sizes, with as many rows of the vocabulary as it takes words, if it takes some."""
        return self.architecture(max(self.words, 1), task.outputs)

    def architecture(self, vocabulary: int, classes: int) -> Architecture:
        """The sizes, with a vocabulary and a classifier of the task."""
        return Architecture(
            vocabulary=vocabulary,
            positions=self.maximum_tokens,
            hidden=self.hidden,
            heads=self.heads,
            head_size=self.head_size,
            ffn=self.ffn,
            layers=self.layers,
            classes=classes,
            dropout=self.dropout,
            attention_dropout=self.dropout,
        )
