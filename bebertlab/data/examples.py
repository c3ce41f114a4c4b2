"""The examples of a split, ready for batches; tokenized once per process."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from attrs import evolve, field, frozen
from numpy.typing import NDArray
from torch import Tensor

from bebertlab.data.tokenizer import read_tokenizer
from bebertlab.data.tokenizer_file import TOKENIZER_FILE
from bebertlab.data.tokens import Tokens, cached_tokens, tokenize, tokens_key
from bebertlab.errors import UserError
from bebertlab.interfaces.task import Split, Task


@frozen(kw_only=True, eq=False)
class Examples:
    """A split in dataset order."""

    tokens: Tokens
    labels: Tensor  #: (N,) int64 classes, or float32 for regression
    padding: int = 0  #: id of the padding token

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: NDArray[np.int64]) -> Examples:
        """The examples at these positions, in their order."""
        lengths, offsets = self.tokens.lengths[positions], self.tokens.offsets[positions]
        labels = self.labels.index_select(0, torch.from_numpy(positions))
        return evolve(self, tokens=evolve(self.tokens, lengths=lengths, offsets=offsets), labels=labels)

    def spread(self, count: int) -> NDArray[np.int64]:
        """Positions of at most `count` examples of all lengths, shortest first.

        In the order of their lengths the split is cut into that many parts; they are in the middle of these.
        """
        by_length = np.argsort(self.tokens.lengths, kind="stable")
        count = min(count, len(by_length))
        middles = (2 * np.arange(count) + 1) * len(by_length) // (2 * count)
        positions: NDArray[np.int64] = by_length[middles]
        return positions


def load_examples(
    task: Task, split: str, tokenizer: Path, maximum_tokens: int, *, cache: Path | None = None
) -> Examples:
    """The examples of a split, tokenized by the tokenizer in the folder of a model.

    The last splits are kept in this process: successive stages read the same ones. Their tokens are also cached in the
    folder `cache`, if there is one, for other processes.

    Raises:
        UserError: there is no tokenizer in that folder.
    """
    file = tokenizer / TOKENIZER_FILE
    if not file.is_file():
        raise UserError(f"{tokenizer} has no {TOKENIZER_FILE}; the folder of a model must contain its tokenizer")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    read = read_tokenizer(tokenizer)
    return _examples(
        _Request(
            data=task.splits[split].digest,
            regression=not task.classes,
            tokenizer=digest,
            maximum_tokens=maximum_tokens,
            padding=read.padding,
            truncation_side=read.truncation_side,
            split=task.splits[split],
            file=file,
            cache=cache,
        )
    )


@frozen(kw_only=True)
class _Request:
    """What the examples depend on, and where to read it."""

    data: str  #: digest of the split, its labels included
    regression: bool
    tokenizer: str
    maximum_tokens: int
    padding: int
    truncation_side: str
    split: Split = field(eq=False)
    file: Path = field(eq=False)
    cache: Path | None = field(eq=False)


@lru_cache(maxsize=16)
def _examples(request: _Request) -> Examples:
    dtype = torch.float32 if request.regression else torch.int64
    labels = torch.as_tensor(request.split.labels, dtype=dtype)
    return Examples(tokens=_tokens(request), labels=labels, padding=request.padding)


def _tokens(request: _Request) -> Tokens:
    def compute() -> Tokens:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(request.file))
            side = request.truncation_side
            tokens = tokenize(tokenizer, request.split, request.maximum_tokens, truncation_side=side)
        except Exception as error:  # the package raises no more specific class
            raise UserError(f"{request.file} cannot tokenize the texts: {error}") from error
        if not tokens.lengths.all():
            first = request.split.ids[int(tokens.lengths.argmin())]
            raise UserError(f"{request.file} gives no tokens for example {first}")
        return tokens

    if request.cache is None:
        return compute()
    key = tokens_key(request.split.text_digest, request.tokenizer, request.maximum_tokens, request.truncation_side)
    return cached_tokens(request.cache, key, compute)
