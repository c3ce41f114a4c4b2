"""A tokenizer.json, which fully defines how texts become tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer, models, processors

from bebertlab.data.tokenizer_settings import SETTINGS_FILE, TokenizerSettings
from bebertlab.errors import UserError
from bebertlab.files import read_json

TOKENIZER_FILE = "tokenizer.json"
_PANIC = "PanicException"  #: no module has this class

#: classes whose Python code does more than a tokenizer.json defines
_IN_PYTHON = ("BertJapaneseTokenizer", "BertweetTokenizer", "TapasTokenizer")
#: classes that use a tokenizer.json unchanged; the others have additional settings
_AS_IT_IS = ("PreTrainedTokenizerFast", "TokenizersBackend")


def read_tokenizer_file(path: Path, settings: TokenizerSettings) -> Tokenizer:
    """The tokenizer of a tokenizer.json; `settings` are those of its folder.

    If the settings omit segments, all segments are 0, as models of transformers assume then.

    Raises:
        UserError: it is damaged, contradicts the settings, or its class is not supported.
    """
    read_json(path)  # the messages of this function are clearer
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the package raises no more specific class
        raise UserError(f"{path}: not a readable {TOKENIZER_FILE}: {error}") from error
    _check_class(path, tokenizer, settings)
    if not settings.segments:
        tokenizer = _without_segments(path, tokenizer)
    _check_special(path, tokenizer, settings)
    _check_model(path, tokenizer)
    _check_added(path, tokenizer, settings)
    for name, setting, behaviour in _normalization(tokenizer, settings):
        raise UserError(
            f"{path} and {SETTINGS_FILE} contradict each other: {name} is {str(setting).lower()}, and the former"
            f" {behaviour}; make both agree with the training of the model"
        )
    return tokenizer


@contextmanager
def panics_as_errors(path: Path) -> Iterator[None]:
    """Within, a panic of the package, which is no `Exception`, becomes a `UserError` that names the tokenizer.

    A tokenizer.json that contradicts itself, such as by a template with a special token that it does not define, makes
    the package panic when it is used.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise UserError(f"{path}: not a readable {TOKENIZER_FILE}: it contradicts itself ({error})") from error


def template(tokenizer: Tokenizer, *, pair: bool) -> tuple[list[int], list[int]]:
    """Ids and segments of a text of one token, or of a pair of such texts; the id of that token is -1."""
    text = _one_token()
    encoding = tokenizer.post_process(text, text if pair else None)
    mask = encoding.special_tokens_mask
    ids = [index if special else -1 for index, special in zip(encoding.ids, mask, strict=True)]
    return ids, list(encoding.type_ids)


def _check_class(path: Path, tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    name = settings.tokenizer_class
    if name in _IN_PYTHON:
        model = type(tokenizer.model).__name__
        raise UserError(
            f"{path}: the class {name} ({model}) does in Python what the file does not define, so it is not supported"
        )
    if len(template(tokenizer, pair=False)[0]) == 1 and name not in _AS_IT_IS:
        raise UserError(
            f"{path} puts no special tokens around a text, the class {name or 'BertTokenizer'} does; give it a"
            f" post-processor, or name the class {_AS_IT_IS[0]} in {SETTINGS_FILE} if the model was trained without"
        )


def _without_segments(path: Path, tokenizer: Tokenizer) -> Tokenizer:
    if not _segmented(tokenizer):
        return tokenizer
    data = json.loads(tokenizer.to_str(), object_hook=_in_one_segment)
    changed = Tokenizer.from_str(json.dumps(data))
    if _segmented(changed):
        kind = data["post_processor"].get("type")
        raise UserError(
            f"{path} gives the second text of a pair another segment ({kind}), but its settings omit segments;"
            " give it a post-processor of type TemplateProcessing"
        )
    return changed


def _segmented(tokenizer: Tokenizer) -> bool:
    return any(max(template(tokenizer, pair=pair)[1], default=0) > 0 for pair in (False, True))


def _in_one_segment(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a post-processor with all segments set to 0; other parts unchanged."""
    if part.get("type") == "BertProcessing":
        (end, end_id), (start, start_id) = part["sep"], part["cls"]
        template_processing = processors.TemplateProcessing(
            single=f"{start} $A {end}",
            pair=f"{start} $A {end} $B {end}",
            special_tokens=[(start, start_id), (end, end_id)],
        )
        data: dict[str, Any] = json.loads(template_processing.__getstate__())
        return data
    return {**part, "type_id": 0} if set(part) == {"id", "type_id"} else part


def _check_special(path: Path, tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    """Check that the special tokens around a text have the ids of the vocabulary and agree with the settings."""
    text = _one_token()
    encoding = tokenizer.post_process(text, text)
    around = {
        token: index
        for token, index, special in zip(encoding.tokens, encoding.ids, encoding.special_tokens_mask, strict=True)
        if special
    }
    for token, index in around.items():
        if (known := tokenizer.token_to_id(token)) not in (None, index):
            raise UserError(
                f"{path} contradicts itself: its post-processor has '{token}' as {index}, its vocabulary as {known};"
                " save the tokenizer again"
            )
    if not around or settings.tokenizer_class in _AS_IT_IS:
        return
    for name in ("cls_token", "sep_token"):
        token = settings.special_tokens[name].content
        if settings.named_special(name) is not None and token not in around:
            raise UserError(
                f"{path} and the settings in its folder contradict each other: {name} is '{token}', the former puts"
                f" {', '.join(around)} around texts; make both agree with the training of the model"
            )


def _check_model(path: Path, tokenizer: Tokenizer) -> None:
    model = tokenizer.model
    if not tokenizer.get_vocab_size(with_added_tokens=False):
        raise UserError(f"{path}: the tokenizer has no words")
    if getattr(model, "dropout", None):
        raise UserError(f"{path}: its tokens are random (dropout of BPE is {model.dropout}); set dropout to null")
    unknown = getattr(model, "unk_token", None)
    needed = isinstance(model, models.WordPiece | models.WordLevel)
    if (needed or unknown is not None) and (unknown is None or tokenizer.token_to_id(unknown) is None):
        raise UserError(f"{path}: its vocabulary has no token for unknown words ({unknown})")


def _check_added(path: Path, tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    for token, index in settings.added_tokens.items():
        given = tokenizer.token_to_id(token.content)
        if index is not None and given != index:
            actual = "lacks it" if given is None else f"has it as {given}"
            raise UserError(
                f"{settings.folder}: its settings give the added token '{token.content}' the id {index},"
                f" {TOKENIZER_FILE} {actual}; save the tokenizer again"
            )


def _normalization(tokenizer: Tokenizer, settings: TokenizerSettings) -> list[tuple[str, bool, str]]:
    """Settings that the tokenizer does not follow: name, value, and what the tokenizer does."""
    if settings.tokenizer_class in _AS_IT_IS:
        return []  # this class ignores them
    normalizer, pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer

    def normalize(text: str) -> str:
        return text if normalizer is None else normalizer.normalize_str(text).strip()

    lower = normalize("A") == "a"
    strips = normalize("\u00e9") == "e"
    chinese = normalize("\u4e2d\u4e2d")
    splits = len(pre_tokenizer.pre_tokenize_str(chinese) if pre_tokenizer else chinese.split()) > 1
    behaviours = {
        "do_lower_case": (lower, "lower-cases letters", "keeps capitals"),
        "strip_accents": (strips, "strips accents", "keeps accents"),
        "tokenize_chinese_chars": (splits, "splits Chinese characters", "keeps Chinese characters together"),
    }
    return [
        (name, setting, yes if active else no)
        for name, (active, yes, no) in behaviours.items()
        if (setting := settings.flag(name)) is not None and setting is not active
    ]


def _one_token() -> Encoding:
    return Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).encode("a", add_special_tokens=False)
