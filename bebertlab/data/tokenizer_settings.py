"""The settings of a tokenizer in the folder of its vocabulary: class, special and added tokens, longest input."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import frozen
from tokenizers import AddedToken

from bebertlab.errors import UserError
from bebertlab.files import read_json
from bebertlab.model.folder import CONFIGURATION

SETTINGS_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"

LENGTH = "model_max_length"
#: transformers writes 1e30 for a tokenizer without a longest input
_NO_LIMIT = 10**9
_SHORTEST = 3  #: [CLS], a token, [SEP]

#: names of the special tokens, with their defaults
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
_MORE = ("additional_special_tokens", "extra_special_tokens")
_ADDED = "added_tokens_decoder"
_CLASS = "tokenizer_class"
_CODE = "auto_map"
#: classes that omit segments if the settings do not list the inputs; transformers 5 writes the first one
_WITHOUT_SEGMENTS = (
    "TokenizersBackend",
    "DistilBertTokenizer",
    "RobertaTokenizer",
    "XLMRobertaTokenizer",
    "MPNetTokenizer",
)
_SIDES = ("right", "left")


@frozen(kw_only=True, slots=False)
class TokenizerSettings:
    """The settings in a folder; empty if it has none."""

    folder: Path
    data: Mapping[str, Any]  #: of tokenizer_config.json
    configuration: Mapping[str, Any]  #: of config.json
    special: Mapping[str, Any]  #: of special_tokens_map.json
    added: Mapping[str, Any]  #: of added_tokens.json

    @classmethod
    def read(cls, folder: Path) -> TokenizerSettings:
        """Read the files that exist.

        Raises:
            UserError: a file is not a JSON object.
        """
        names = (SETTINGS_FILE, CONFIGURATION, SPECIAL_TOKENS_FILE, ADDED_TOKENS_FILE)
        data, configuration, special, added = (_optional(folder / name) for name in names)
        return cls(folder=folder, data=data, configuration=configuration, special=special, added=added)

    @property
    def tokenizer_class(self) -> str | None:
        """The class in the files, looked up as transformers does."""
        name = self.data.get(_CLASS) or self.configuration.get(_CLASS)
        if name is None and isinstance(code := self.data.get(_CODE), Mapping):
            classes = code.get("AutoTokenizer")
            name = next(filter(None, classes), None) if isinstance(classes, list) else classes
        return None if name is None else str(name)

    @property
    def maximum_tokens(self) -> int | None:
        """The longest input; None if there is no limit.

        Raises:
            UserError: it is not a number of tokens.
        """
        value = self.data.get(LENGTH)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value < _SHORTEST:
            raise UserError(
                f"{self.folder / SETTINGS_FILE}: {LENGTH} is {value!r}; expected an integer, {_SHORTEST} or more"
            )
        return int(value) if value < _NO_LIMIT else None

    @property
    def segments(self) -> bool:
        """Whether transformers passes segments to the model; otherwise they are all 0."""
        names = self.data.get("model_input_names")
        if isinstance(names, list):
            return "token_type_ids" in names
        return (self.tokenizer_class or "").removesuffix("Fast") not in _WITHOUT_SEGMENTS

    @property
    def truncation_side(self) -> str | None:
        """Where long texts are truncated, `left` or `right`; None if it is not set.

        Raises:
            UserError: it has another value.
        """
        value = self.data.get("truncation_side")
        if value not in (None, *_SIDES):
            raise UserError(
                f"{self.folder / SETTINGS_FILE}: truncation_side is {value!r}; expected {' or '.join(_SIDES)}"
            )
        return None if value is None else str(value)

    def flag(self, name: str) -> bool | None:
        """A setting that is true or false; None if it is not set.

        Raises:
            UserError: it has another value.
        """
        value = self.data.get(name)
        if value is not None and not isinstance(value, bool):
            raise UserError(f"{self.folder / SETTINGS_FILE}: {name} is {value!r}; expected true or false")
        return value

    @cached_property
    def special_tokens(self) -> dict[str, AddedToken]:
        """The special tokens by name, e.g. `cls_token`; by default BERT's."""
        given = {name: self.named_special(name) or default for name, default in SPECIAL.items()}
        return {name: _token(value, special=True) for name, value in given.items()}

    def named_special(self, name: str) -> object | None:
        """A special token as the files give it; None if they do not."""
        # as in transformers: a tokenizer_config.json with added tokens is newer than the other file
        older = {} if _ADDED in self.data else self.special
        return older.get(name) or self.data.get(name)

    @property
    def added_tokens(self) -> dict[AddedToken, int | None]:
        """Tokens beyond the vocabulary with their ids, in order; None: the next free id."""
        special = {token.content for token in self.special_tokens.values()}
        more = [token for name in _MORE for token in self._listed(name)]
        special |= {token.content for token in more}
        if _ADDED in self.data:
            listed = {int(index): _token(value) for index, value in self.data[_ADDED].items()}
        else:
            listed = {index: _token(content, special=content in special) for content, index in self.added.items()}
        known = {token.content for token in listed.values()}
        new = {token: None for token in more if token.content not in known}
        return {**{listed[index]: index for index in sorted(listed)}, **new}

    def _listed(self, name: str) -> list[AddedToken]:
        value = self.data.get(name) or self.special.get(name) or []
        values = value.values() if isinstance(value, Mapping) else value
        return [_token(item, special=True) for item in values]


def _optional(path: Path) -> Mapping[str, Any]:
    return read_json(path) if path.is_file() else {}


def _token(value: object, *, special: bool = False) -> AddedToken:
    """A token from a text or from a mapping of its settings."""
    if isinstance(value, Mapping):
        flags = {name: bool(value[name]) for name in ("single_word", "lstrip", "rstrip", "normalized") if name in value}
        return AddedToken(str(value.get("content")), special=bool(value.get("special", special)), **flags)
    return AddedToken(str(value), special=special, normalized=not special)
