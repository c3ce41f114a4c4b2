"""BERT's own tokenizer from a vocabulary with one token per line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from bebertlab.data.tokenizer_settings import SETTINGS_FILE, TokenizerSettings
from bebertlab.errors import UserError

#: classes that make BERT's tokens from a vocabulary
_CLASSES = frozenset(
    f"{name}Tokenizer{suffix}" for name in ("Bert", "Electra", "MobileBert", "ConvBert") for suffix in ("", "Fast")
)
#: settings of slow tokenizers that change tokens, with the values that do not
_SLOW: Mapping[str, tuple[object, ...]] = {
    "do_basic_tokenize": (None, True),
    "never_split": (None, []),
    "word_tokenizer_type": (None, "basic"),
    "subword_tokenizer_type": (None, "wordpiece"),
}


@frozen(kw_only=True, eq=False)
class WordPiece:
    """A tokenizer, and the settings with which transformers builds the same one from its vocabulary."""

    tokenizer: Tokenizer
    settings: Mapping[str, Any]


def read_wordpiece(path: Path, settings: TokenizerSettings) -> WordPiece:
    """The tokenizer of a vocabulary, as transformers' BertTokenizer builds it.

    If the settings do not say whether letters are lower-cased, they are if the vocabulary has no capital letters; and
    accents are stripped from lower-cased letters if it has none.

    Raises:
        UserError: its class is not one of BERT's, or it is not a vocabulary of a BERT.
    """
    _check_class(path, settings)
    vocabulary = _vocabulary(path)
    special = {name: token.content for name, token in settings.special_tokens.items()}
    _check_special(path, vocabulary, special)
    ordinary = [token for token in vocabulary if token not in special.values() and not _is_bracketed(token)]
    if not ordinary:
        raise UserError(f"{path}: the tokenizer has no words")
    lower, accents, chinese = _normalization(ordinary, settings)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=chinese, strip_accents=accents, lowercase=lower
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    _add_tokens(tokenizer, path, vocabulary, settings)
    second = 1 if settings.segments else 0
    start, end = special["cls_token"], special["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start}:0 $A:0 {end}:0",
        pair=f"{start}:0 $A:0 {end}:0 $B:{second} {end}:{second}",
        special_tokens=[(token, vocabulary[token]) for token in (start, end)],
    )
    flags = {"do_lower_case": lower, "strip_accents": accents, "tokenize_chinese_chars": chinese}
    known = {name: token for name, token in special.items() if token in vocabulary}
    all_settings = {"tokenizer_class": "BertTokenizer", **settings.data, **flags, **known}
    return WordPiece(tokenizer=tokenizer, settings=all_settings)


def _check_class(path: Path, settings: TokenizerSettings) -> None:
    name = settings.tokenizer_class
    if name is not None and name not in _CLASSES:
        raise UserError(
            f"{path} has the class {name}, which is not BERT's; save it with transformers as a tokenizer.json"
        )
    for option, supported in _SLOW.items():
        if settings.data.get(option) not in supported:
            raise UserError(
                f"{settings.folder / SETTINGS_FILE}: {option} is {settings.data[option]!r}, which is not supported;"
                " save the tokenizer with transformers as a tokenizer.json"
            )


def _vocabulary(path: Path) -> dict[str, int]:
    """Tokens with their ids, the numbers of their lines; of a repeated token the last, as in transformers.

    Blank lines are counted too, but no token is blank.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a vocabulary: byte {error.start} is not UTF-8") from error
    tokens = (line.rstrip() for line in text.split("\n"))
    return {token: index for index, token in enumerate(tokens) if token}


def _check_special(path: Path, vocabulary: Mapping[str, int], special: Mapping[str, str]) -> None:
    needed = (special[name] for name in ("unk_token", "cls_token", "sep_token"))
    if missing := [token for token in needed if token not in vocabulary]:
        raise UserError(f"{path}: not a vocabulary of a BERT, one token per line: {', '.join(missing)} missing")


def _normalization(tokens: Iterable[str], settings: TokenizerSettings) -> tuple[bool, bool | None, bool]:
    """Whether letters are lower-cased, accents stripped (None: if lower-cased), and Chinese characters split."""
    lower, accents = settings.flag("do_lower_case"), settings.flag("strip_accents")
    chinese = settings.flag("tokenize_chinese_chars")
    if lower is None:
        lower = not any(token != token.lower() for token in tokens)
        if lower and accents is None and any(map(_has_accent, tokens)):
            accents = False
    return lower, accents, chinese is not False


def _has_accent(token: str) -> bool:
    return any(unicodedata.category(letter) == "Mn" for letter in unicodedata.normalize("NFD", token))


def _is_bracketed(token: str) -> bool:
    """Whether it is a special token such as [unused1] or [E1], whose letters are ignored."""
    return token.startswith("[") and token.endswith("]") and len(token) > 2


def _add_tokens(tokenizer: Tokenizer, path: Path, vocabulary: dict[str, int], settings: TokenizerSettings) -> None:
    """Make the tokenizer recognize special tokens in texts, and add the tokens beyond the vocabulary."""
    tokenizer.add_special_tokens([token for token in settings.special_tokens.values() if token.content in vocabulary])
    for token, index in settings.added_tokens.items():
        if token.special:
            tokenizer.add_special_tokens([token])
        else:
            tokenizer.add_tokens([token])
        given = tokenizer.token_to_id(token.content)
        if index is not None and given != index:
            raise UserError(f"{path}: the added token '{token.content}' would have id {given}, its files say {index}")
