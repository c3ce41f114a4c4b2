"""A small BERT with random weights, for generated tasks and quick trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import field, frozen, validators

from bebertlab.api import Architecture, Checkpoint, EncoderOptions, Task, random_checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_size = validators.ge(1)
_probability = validators.and_(validators.ge(0.0), validators.lt(1.0))


@frozen(kw_only=True)
class TinyEncoder(EncoderOptions):
    """Random weights, and a vocabulary made from the training texts."""

    kind = "tiny"
    layers: int = field(default=2, validator=_size)  #: number of layers
    hidden: int = field(default=64, validator=_size)  #: width of the hidden states
    heads: int = field(default=4, validator=_size)  #: of attention in each layer
    head_size: int = field(default=16, validator=_size)  #: of each head; heads * head_size may differ from hidden
    ffn: int = field(default=128, validator=_size)  #: width of the feed-forward part
    maximum_tokens: int = field(default=64, validator=validators.ge(3))  #: longer inputs are truncated
    dropout: float = field(
        default=0.0, validator=_probability
    )  #: probability everywhere, attention included; it slows learning from random weights
    words: int = field(default=2000, validator=validators.ge(0))  #: number of most frequent words that are tokens
    spread: float = field(default=0.02, validator=validators.gt(0))  #: standard deviation of the initial weights

    def digest(self) -> str:
        """Empty: the options determine everything."""
        return ""

    def tokenizer(self, texts: Iterable[str]) -> PreTrainedTokenizerBase:
        """A BERT tokenizer with a vocabulary from the texts."""
        from transformers import BertTokenizer

        # `vocab_file=` is accepted without a warning and gives a vocabulary of five tokens
        return BertTokenizer(vocab=vocabulary_of(texts, self.words), model_max_length=self.maximum_tokens)

    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        """Random weights of the seed."""
        return random_checkpoint(self.architecture(vocabulary, classes), seed, self.spread)

    def plan(self, task: Task) -> Architecture:
        """The sizes, with a row of the word embedding for each of `words`."""
        return self.architecture(max(self.words, 1), task.outputs)

    def architecture(self, vocabulary: int, classes: int) -> Architecture:
        """The sizes for a vocabulary and a number of outputs."""
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


def vocabulary_of(texts: Iterable[str], words: int) -> dict[str, int]:
    """Token to id: special tokens, every character at the start of and inside a word, the most frequent words.

    Words of equal frequency are ordered alphabetically, so that the order of the texts does not matter.

    >>> list(vocabulary_of(["Ab b", "ab c"], words=1))[5:]
    ['a', 'b', 'c', '##a', '##b', '##c', 'ab']
    """
    counts = _count_words(texts)
    characters = sorted(set("".join(counts)))
    ranked = sorted((word for word in counts if len(word) > 1), key=lambda word: (-counts[word], word))
    tokens = [*SPECIAL, *characters, *(f"##{character}" for character in characters), *ranked[:words]]
    return {token: index for index, token in enumerate(tokens)}


def _count_words(texts: Iterable[str]) -> Counter[str]:
    """Count words as BERT's tokenizer splits them: lower case, no accents, punctuation separate."""
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    normalize, split = BertNormalizer().normalize_str, BertPreTokenizer().pre_tokenize_str
    return Counter(word for text in texts for word, _ in split(normalize(text)))
