"""The tokenizer of a model: read from the files of a checkpoint in one way, wherever the checkpoint comes in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from attrs import frozen
from tokenizers import Tokenizer

from bebertlab.data.tokenizer_file import TOKENIZER_FILE, read_tokenizer_file, template
from bebertlab.data.tokenizer_settings import (
    ADDED_TOKENS_FILE,
    LENGTH,
    SETTINGS_FILE,
    SPECIAL_TOKENS_FILE,
    TokenizerSettings,
)
from bebertlab.data.wordpiece import read_wordpiece
from bebertlab.errors import SetupError, UserError
from bebertlab.files import check_file, read_json
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.encoder import EncoderOptions, SavedTokenizer
from bebertlab.interfaces.task import TRAIN, Task
from bebertlab.model.folder import CONFIGURATION

VOCABULARY_FILE = "vocab.txt"
#: files that say how texts become tokens
TOKENIZER_FILES = (TOKENIZER_FILE, SETTINGS_FILE, SPECIAL_TOKENS_FILE, ADDED_TOKENS_FILE, VOCABULARY_FILE)


@frozen(kw_only=True, eq=False, slots=False)
class ModelTokenizer:
    """How texts become the tokens of a model. Truncation and padding of its files are left out."""

    folder: Path  #: where it was read
    tokenizer: Tokenizer
    maximum_tokens: int | None  #: the longest input that its files name; None: any
    padding: int  #: id of the tokens that fill a batch
    truncation_side: str = "right"  #: where texts that are too long lose tokens, `left` or `right`
    files: Mapping[str, bytes]  #: by name, as they go with the model

    def __len__(self) -> int:
        """Rows of a word embedding that has one for every token: the highest id and 1."""
        return self._rows

    @cached_property
    def _rows(self) -> int:
        return max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def parts(self) -> Mapping[str, str]:
        """Digests of all that decides tokens, by what it is; two tokenizers with the same ones make the same tokens."""
        data = json.loads(self.tokenizer.to_str())
        added = [{**token, "special": None} for token in data["added_tokens"]]
        parts = {
            "vocabulary": data["model"],
            "normalizer": data["normalizer"],
            "pre-tokenizer": data["pre_tokenizer"],
            "special tokens": [template(self.tokenizer, pair=pair) for pair in (False, True)],
            "added tokens": sorted(added, key=lambda token: int(token["id"])),
            "truncation side": self.truncation_side,
        }
        texts = {name: json.dumps(part, sort_keys=True) for name, part in parts.items()}
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}

    def segments(self, *, pairs: bool) -> int:
        """Rows of a segment embedding that has one for every segment of a text, or of a pair."""
        return max(template(self.tokenizer, pair=pairs)[1], default=0) + 1

    def save_pretrained(self, folder: Path) -> None:
        """Write its files."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has a tokenizer."""
    return any((folder / name).is_file() for name in (TOKENIZER_FILE, VOCABULARY_FILE))


def read_tokenizer(path: Path) -> ModelTokenizer:
    """The tokenizer of a folder, or of a vocabulary with a token a line.

    A tokenizer.json is taken as it is. Without one, vocab.txt is read as BERT's, see `read_wordpiece`. A tokenizer is
    read once in a process, while its files stay the same.

    Raises:
        SetupError: there is none, or a file is a pointer of git-lfs.
        UserError: it is damaged, contradicts the settings beside it, or is of a class that cannot be used.
    """
    folder = path if path.is_dir() else path.parent
    named = [*(folder / name for name in (*TOKENIZER_FILES, CONFIGURATION)), path]
    files = [file for file in named if file.is_file()]
    for file in files:
        check_file(file)
    return _read(path, tuple((file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files))


def training_tokenizer(encoder: EncoderOptions, task: Task) -> SavedTokenizer:
    """The tokenizer of an encoder that is trained on a task."""
    split = task.splits[TRAIN]
    return encoder.tokenizer(chain(split.texts, split.pairs or ()))


def set_maximum_tokens(folder: Path, maximum_tokens: int) -> None:
    """Note in the files of a tokenizer how long inputs of its model are."""
    file = folder / SETTINGS_FILE
    settings = read_json(file) if file.is_file() else {}
    if settings.get(LENGTH) != maximum_tokens:
        file.write_bytes(_json({**settings, LENGTH: maximum_tokens}))


def check_vocabulary(tokenizer: ModelTokenizer, sizes: Architecture) -> None:
    """Check that a model has an embedding for every token.

    Raises:
        UserError: it has too few.
    """
    if len(tokenizer) > sizes.vocabulary:
        raise UserError(
            f"{tokenizer.folder}: the ids of its tokens go up to {len(tokenizer) - 1}, the word embedding has"
            f" {sizes.vocabulary} rows"
        )


def check_segments(tokenizer: ModelTokenizer, sizes: Architecture, *, pairs: bool, model: str) -> None:
    """Check that a model has an embedding for every segment; `model` is for the message.

    Raises:
        UserError: it has too few.
    """
    needed = tokenizer.segments(pairs=pairs)
    if needed > sizes.segments:
        has = f"{sizes.segments} segment embedding{'s' if sizes.segments > 1 else ''} (type_vocab_size)"
        raise UserError(f"{model} has {has}, {'pairs of texts need' if pairs else 'its tokenizer needs'} {needed}")


@lru_cache(maxsize=16)
def _read(path: Path, digests: object) -> ModelTokenizer:
    folder = path if path.is_dir() else path.parent
    vocabulary = folder / VOCABULARY_FILE if path.is_dir() else path
    if path.is_dir() and (folder / TOKENIZER_FILE).is_file():
        settings = TokenizerSettings.read(folder)
        tokenizer = read_tokenizer_file(folder / TOKENIZER_FILE, settings)
        files = {name: (folder / name).read_bytes() for name in TOKENIZER_FILES if (folder / name).is_file()}
        if not settings.segments:
            files[TOKENIZER_FILE] = _json(json.loads(tokenizer.to_str()))
    elif vocabulary.is_file():
        settings = TokenizerSettings.read(folder) if vocabulary.name == VOCABULARY_FILE else _no_settings(folder)
        made = read_wordpiece(vocabulary, settings)
        tokenizer = made.tokenizer
        files = {
            TOKENIZER_FILE: _json(json.loads(tokenizer.to_str())),
            SETTINGS_FILE: _json(made.settings),
            VOCABULARY_FILE: vocabulary.read_bytes(),
        }
    else:
        raise SetupError(_lacking(path))
    padding, side = _padding(tokenizer, settings), settings.truncation_side
    if side is None:  # as in transformers, where the settings count before the file
        side = (tokenizer.truncation or {}).get("direction", "right")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return ModelTokenizer(
        folder=path,
        tokenizer=tokenizer,
        maximum_tokens=settings.maximum_tokens,
        padding=padding,
        truncation_side=side,
        files=files,
    )


def _lacking(path: Path) -> str:
    if not path.is_dir():
        return f"{path}: no such file; a tokenizer is a folder with {TOKENIZER_FILE}, or a {VOCABULARY_FILE}"
    named = TokenizerSettings.read(path).tokenizer_class
    of = "" if named is None else f" (its tokenizer is of the class {named}; save it with transformers as the former)"
    return f"{path} has no {TOKENIZER_FILE} (nor {VOCABULARY_FILE}){of}"


def _no_settings(folder: Path) -> TokenizerSettings:
    return TokenizerSettings(folder=folder, data={}, configuration={}, special={}, added={})


def _padding(tokenizer: Tokenizer, settings: TokenizerSettings) -> int:
    """The id of the padding token; 0 where there is none."""
    named = settings.named_special("pad_token")
    if named is None and tokenizer.padding is not None:
        return int(tokenizer.padding["pad_id"])
    index = tokenizer.token_to_id(settings.special_tokens["pad_token"].content)
    if index is None:
        index = settings.configuration.get("pad_token_id")
    return index if isinstance(index, int) and index >= 0 else 0


def _json(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()
