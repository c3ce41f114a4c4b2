"""Texts as numbers: the tokens of a split, one example after the other."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.interfaces.task import Split

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@frozen(kw_only=True, eq=False)
class Tokens:
    """The tokens of N examples without padding; example n is `ids[offsets[n] : offsets[n] + lengths[n]]`."""

    ids: NDArray[np.int32]  #: (sum of lengths,)
    segments: NDArray[np.int8]  #: (sum of lengths,) 0 or 1
    lengths: NDArray[np.int64]  #: (N,)
    offsets: NDArray[np.int64]  #: (N,) where each example begins
    truncated: int = 0  #: examples that had more tokens than there was room for

    def __len__(self) -> int:
        return len(self.lengths)


def tokenize(tokenizer: Tokenizer, split: Split, maximum_tokens: int, *, truncation_side: str = "right") -> Tokens:
    """The tokens of a split: `[CLS] text [SEP]` or `[CLS] text [SEP] second [SEP]`, as the tokenizer's template says.

    An input over `maximum_tokens` loses tokens at its end, or where `truncation_side` is `left` at its beginning; of a
    pair always the longer text loses.
    """
    from tokenizers import Tokenizer

    encoder = Tokenizer.from_str(tokenizer.to_str())  # the caller's own truncation and padding stay as they are
    encoder.no_padding()
    encoder.no_truncation()
    texts = list(split.texts) if split.pairs is None else list(zip(split.texts, split.pairs, strict=True))
    encoded = encoder.encode_batch_fast(texts)
    long = [place for place, one in enumerate(encoded) if len(one.ids) > maximum_tokens]
    encoder.enable_truncation(maximum_tokens, strategy="longest_first", direction=truncation_side)
    for place, one in zip(long, encoder.encode_batch_fast([texts[place] for place in long]), strict=True):
        encoded[place] = one
    lengths = np.fromiter((len(one.ids) for one in encoded), dtype=np.int64, count=len(encoded))
    total = int(lengths.sum())
    return Tokens(
        ids=np.fromiter(chain.from_iterable(one.ids for one in encoded), dtype=np.int32, count=total),
        segments=np.fromiter(chain.from_iterable(one.type_ids for one in encoded), dtype=np.int8, count=total),
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        truncated=len(long),
    )
