"""The tokens of a split, and their cache on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bebertlab.interfaces.task import Split

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_log = logging.getLogger(__name__)

_FORMAT = 2
_ARRAYS = {"ids": np.int32, "segments": np.int8, "lengths": np.int64}
_HASH = "sha256"
_TRUNCATED = "truncated"


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


def tokens_key(*parts: str | int) -> str:
    """The name of tokens that are made of these parts, and of this version of the tokenizers package."""
    from importlib.metadata import version

    text = json.dumps([_FORMAT, version("tokenizers"), *parts])
    return hashlib.sha256(text.encode()).hexdigest()


def cached_tokens(folder: Path, key: str, make: Callable[[], Tokens]) -> Tokens:
    """The tokens of a key from `<folder>/<key>.safetensors`, which is made where it is not there or damaged.

    Processes at work on the same key write it one after the other, each as a whole, and with the same content.
    A folder that cannot be written costs the tokenising, nothing else.
    """
    file = folder / f"{key}.safetensors"
    if (found := _read(file)) is not None:
        return found
    tokens = make()
    try:
        _write(tokens, file)
    except (OSError, SafetensorError) as error:  # the second is that of a full disk
        _log.info("tokens cannot be kept in %s: %s", folder, error)
    return tokens


def _read(file: Path) -> Tokens | None:
    """What a file holds; None where there is none, or another content than was written."""
    try:
        with safe_open(file, framework="numpy") as opened:
            arrays = {name: opened.get_tensor(name) for name in _ARRAYS}
            metadata = opened.metadata() or {}
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError) as error:
        _log.warning("%s is damaged and made again: %s", file, error)
        return None
    truncated = metadata.get(_TRUNCATED, "")
    if metadata.get(_HASH) != _digest(arrays, truncated):
        _log.warning("%s is damaged and made again: its content is not what was written", file)
        return None
    _touch(file)
    lengths = arrays["lengths"]
    return Tokens(
        ids=arrays["ids"],
        segments=arrays["segments"],
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        truncated=int(truncated),
    )


def _write(tokens: Tokens, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.ascontiguousarray(getattr(tokens, name)) for name in _ARRAYS}
    truncated = str(tokens.truncated)
    half = file.with_name(f"{file.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        save_file(arrays, half, metadata={_TRUNCATED: truncated, _HASH: _digest(arrays, truncated)})
        os.replace(half, file)
    finally:
        half.unlink(missing_ok=True)


def _digest(arrays: dict[str, np.ndarray], truncated: str) -> str:
    found = hashlib.sha256(truncated.encode())
    for name, dtype in _ARRAYS.items():
        found.update(f"{name} {arrays[name].dtype == dtype} {arrays[name].shape}".encode())
        found.update(arrays[name].data)
    return found.hexdigest()


def _touch(file: Path) -> None:
    try:
        os.utime(file)
    except OSError:
        _log.debug("%s cannot be touched; `store gc --days` will think it unused", file)
