"""The tokenizer of a model, read from the files of a checkpoint in the same way for encoders, teachers and imports."""

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

from bebertlab.data.tokenizer_file import TOKENIZER_FILE, panics_as_errors, read_tokenizer_file, template
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
#: files that define how texts become tokens
TOKENIZER_FILES = (TOKENIZER_FILE, SETTINGS_FILE, SPECIAL_TOKENS_FILE, ADDED_TOKENS_FILE, VOCABULARY_FILE)


@frozen(kw_only=True, eq=False, slots=False)
class ModelTokenizer:
    """Converts texts into the tokens of a model. The truncation and padding settings of its files are removed."""

    folder: Path  #: that it was read from
    tokenizer: Tokenizer
    maximum_tokens: int | None  #: longest input according to its files; None: no limit
    padding: int  #: id of the padding token
    truncation_side: str = "right"  #: where long texts are truncated, `left` or `right`
    files: Mapping[str, bytes]  #: by name, as they are saved with the model

    def __len__(self) -> int:
        """The highest token id plus 1: the rows that a word embedding needs."""
        return self._rows

    @cached_property
    def _rows(self) -> int:
        return max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def parts(self) -> Mapping[str, str]:
        """Digests of everything that determines tokens, by name; tokenizers with equal digests make the same tokens."""
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

    def longest_input(self, sizes: Architecture) -> int:
        """The longest input of a model in tokens, by its files and at most its positions."""
        return min(self.maximum_tokens or sizes.positions, sizes.positions)

    def segments(self, *, pairs: bool) -> int:
        """Rows that a segment embedding needs, for single texts or for pairs."""
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
    """The tokenizer of a folder, or of a vocabulary with one token per line.

    A tokenizer.json is used as it is. Without one, vocab.txt is read as BERT's, see `read_wordpiece`. A tokenizer is
    read once per process while its files do not change.

    Raises:
        SetupError: there is none, or a file is a pointer of git-lfs.
        UserError: it is damaged, contradicts the settings in its folder, or its class is not supported.
    """
    folder = path if path.is_dir() else path.parent
    named = [*(folder / name for name in (*TOKENIZER_FILES, CONFIGURATION)), path]
    files = [file for file in named if file.is_file()]
    for file in files:
        check_file(file)
    with panics_as_errors(path):
        return _read(path, tuple((file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files))


def training_tokenizer(encoder: EncoderOptions, task: Task) -> SavedTokenizer:
    """The tokenizer of an encoder that is trained on a task."""
    split = task.splits[TRAIN]
    return encoder.tokenizer(chain(split.texts, split.pairs or ()))


def set_maximum_tokens(folder: Path, maximum_tokens: int) -> None:
    """Write the longest input of a model into the files of its tokenizer."""
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
        wordpiece = read_wordpiece(vocabulary, settings)
        tokenizer = wordpiece.tokenizer
        files = {
            TOKENIZER_FILE: _json(json.loads(tokenizer.to_str())),
            SETTINGS_FILE: _json(wordpiece.settings),
            VOCABULARY_FILE: vocabulary.read_bytes(),
        }
    else:
        raise SetupError(_missing_message(path))
    padding, side = _padding(tokenizer, settings), settings.truncation_side
    if side is None:  # as in transformers, where the settings take precedence over the file
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


def _missing_message(path: Path) -> str:
    if not path.is_dir():
        return f"{path}: no such file; a tokenizer is a folder with {TOKENIZER_FILE}, or a {VOCABULARY_FILE}"
    name = TokenizerSettings.read(path).tokenizer_class
    hint = "" if name is None else f" (its tokenizer has the class {name}; save it with transformers as the former)"
    return f"{path} has no {TOKENIZER_FILE} (nor {VOCABULARY_FILE}){hint}"


def _no_settings(folder: Path) -> TokenizerSettings:
    return TokenizerSettings(folder=folder, data={}, configuration={}, special={}, added={})


def _padding(tokenizer: Tokenizer, settings: TokenizerSettings) -> int:
    """The id of the padding token; 0 if there is none."""
    if settings.named_special("pad_token") is None and tokenizer.padding is not None:
        return int(tokenizer.padding["pad_id"])
    index = tokenizer.token_to_id(settings.special_tokens["pad_token"].content)
    if index is None:
        index = settings.configuration.get("pad_token_id")
    return index if isinstance(index, int) and index >= 0 else 0


def _json(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()
