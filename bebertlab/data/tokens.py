"""The tokens of a split, and their cache on disk."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bebertlab.data.cache_files import mark_as_used, replace_file, warn_of_damage
from bebertlab.formats import TOKEN_CACHE
from bebertlab.interfaces.task import Split

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_log = logging.getLogger(__name__)

_ARRAYS = {"ids": np.int32, "segments": np.int8, "lengths": np.int64}
_ENCODED = 4096  #: texts at once: the package's encodings take a hundred times the memory of the tokens
_HASH = "sha256"
_TRUNCATED = "truncated"


@frozen(kw_only=True, eq=False)
class Tokens:
    """The tokens of N examples without padding; example n is `ids[offsets[n] : offsets[n] + lengths[n]]`."""

    ids: NDArray[np.int32]  #: (sum of lengths,)
    segments: NDArray[np.int8]  #: (sum of lengths,) 0 or 1
    lengths: NDArray[np.int64]  #: (N,)
    offsets: NDArray[np.int64]  #: (N,) index of the first token of each example
    truncated: int = 0  #: number of truncated examples

    def __len__(self) -> int:
        return len(self.lengths)


@frozen(kw_only=True, eq=False, slots=False)
class TruncatingTokenizer:
    """A tokenizer that truncates long inputs. It uses copies of the given tokenizer, and threads may share it."""

    tokenizer: Tokenizer  #: not changed; its own truncation and padding are not used
    maximum_tokens: int  #: longer inputs are truncated
    truncation_side: str = "right"  #: `right`: at their end, `left`: at their start

    def tokens(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Tokens:
        """The tokens of texts: `[CLS] text [SEP]` or `[CLS] text [SEP] second [SEP]`, as its template defines.

        In a pair the longer text is truncated.
        """
        inputs = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        starts = range(0, max(1, len(inputs)), _ENCODED)
        return _joined([self._encode(inputs[start : start + _ENCODED]) for start in starts])

    def _encode(self, inputs: Sequence[str | tuple[str, str]]) -> Tokens:
        encodings = self._whole.encode_batch_fast(inputs)
        long = [index for index, encoding in enumerate(encodings) if len(encoding.ids) > self.maximum_tokens]
        if long:
            truncated = self._truncated.encode_batch_fast([inputs[index] for index in long])
            for index, encoding in zip(long, truncated, strict=True):
                encodings[index] = encoding
        lengths = np.fromiter((len(encoding.ids) for encoding in encodings), dtype=np.int64, count=len(encodings))
        total = int(lengths.sum())
        ids = chain.from_iterable(encoding.ids for encoding in encodings)
        segments = chain.from_iterable(encoding.type_ids for encoding in encodings)
        return Tokens(
            ids=np.fromiter(ids, dtype=np.int32, count=total),
            segments=np.fromiter(segments, dtype=np.int8, count=total),
            lengths=lengths,
            offsets=np.cumsum(lengths) - lengths,
            truncated=len(long),
        )

    # copying takes 0.1 s with BERT's vocabulary: each copy is made once, the second one only if an input is too long

    @cached_property
    def _whole(self) -> Tokenizer:
        return _without_limits(self.tokenizer)

    @cached_property
    def _truncated(self) -> Tokenizer:
        copy = _without_limits(self.tokenizer)
        copy.enable_truncation(self.maximum_tokens, strategy="longest_first", direction=self.truncation_side)
        return copy


def _joined(parts: Sequence[Tokens]) -> Tokens:
    lengths = np.concatenate([part.lengths for part in parts])
    return Tokens(
        ids=np.concatenate([part.ids for part in parts]),
        segments=np.concatenate([part.segments for part in parts]),
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        truncated=sum(part.truncated for part in parts),
    )


def tokenize(tokenizer: Tokenizer, split: Split, maximum_tokens: int, *, truncation_side: str = "right") -> Tokens:
    """The tokens of a split, as `TruncatingTokenizer` makes them."""
    truncating = TruncatingTokenizer(
        tokenizer=tokenizer, maximum_tokens=maximum_tokens, truncation_side=truncation_side
    )
    return truncating.tokens(split.texts, split.pairs)


def _without_limits(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that does not truncate or pad."""
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.no_truncation()
    return copy


def tokens_key(*parts: str | int) -> str:
    """The key of tokens that depend on these parts and on the version of the tokenizers package."""
    from importlib.metadata import version

    text = json.dumps([TOKEN_CACHE.number, version("tokenizers"), *parts])
    return hashlib.sha256(text.encode()).hexdigest()


def cached_tokens(folder: Path, key: str, compute: Callable[[], Tokens]) -> Tokens:
    """The tokens of a key from `<folder>/<key>.safetensors`, which is written if it is missing or damaged.

    Processes that write the same key at the same time each replace the whole file, with the same content. In a folder
    that cannot be written the tokens are computed every time.
    """
    file = folder / f"{key}.safetensors"
    if (cached := _read(file)) is not None:
        return cached
    tokens = compute()
    try:
        _write(tokens, file)
    except (OSError, SafetensorError) as error:  # SafetensorError: the disk is full
        _log.info("cannot cache tokens in %s: %s", folder, error)
    return tokens


def _read(file: Path) -> Tokens | None:
    """The tokens of a file; None if it is missing or damaged."""
    try:
        with safe_open(file, framework="numpy") as opened:
            arrays = {name: opened.get_tensor(name) for name in _ARRAYS}
            metadata = opened.metadata() or {}
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError) as error:
        warn_of_damage(file, error)
        return None
    truncated = metadata.get(_TRUNCATED, "")
    if metadata.get(_HASH) != _digest(arrays, truncated):
        warn_of_damage(file, "its hash does not match")
        return None
    mark_as_used(file)
    lengths = arrays["lengths"]
    return Tokens(
        ids=arrays["ids"],
        segments=arrays["segments"],
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        truncated=int(truncated),
    )


def _write(tokens: Tokens, file: Path) -> None:
    arrays = {name: np.ascontiguousarray(getattr(tokens, name)) for name in _ARRAYS}
    truncated = str(tokens.truncated)
    metadata = {_TRUNCATED: truncated, _HASH: _digest(arrays, truncated)}
    replace_file(file, lambda part: save_file(arrays, part, metadata=metadata))


def _digest(arrays: dict[str, np.ndarray], truncated: str) -> str:
    digest = hashlib.sha256(truncated.encode())
    for name, dtype in _ARRAYS.items():
        digest.update(f"{name} {arrays[name].dtype == dtype} {arrays[name].shape}".encode())
        digest.update(arrays[name].data)
    return digest.hexdigest()
