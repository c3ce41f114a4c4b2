"""A WordPiece vocabulary from texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def vocabulary_of(texts: Iterable[str], words: int) -> dict[str, int]:
    """Token to id: special tokens, every character at the start of and inside a word, the most frequent words.

    Words of equal frequency are taken in alphabetical order, so that the same texts give the same vocabulary.

    >>> list(vocabulary_of(["Ab b", "ab c"], words=1))[5:]
    ['a', 'b', 'c', '##a', '##b', '##c', 'ab']
    """
    counts = _words(texts)
    characters = sorted(set("".join(counts)))
    ranked = sorted((word for word in counts if len(word) > 1), key=lambda word: (-counts[word], word))
    tokens = [*SPECIAL, *characters, *(f"##{character}" for character in characters), *ranked[:words]]
    return {token: index for index, token in enumerate(tokens)}


def _words(texts: Iterable[str]) -> Counter[str]:
    """Count words as BERT's tokenizer sees them: lower case, no accents, punctuation apart."""
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    normalize, cut = BertNormalizer().normalize_str, BertPreTokenizer().pre_tokenize_str
    return Counter(word for text in texts for word, _ in cut(normalize(text)))
