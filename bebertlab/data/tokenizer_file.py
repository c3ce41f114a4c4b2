"""A tokenizer.json, which says by itself how texts become tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer, models, processors

from bebertlab.data.tokenizer_settings import SETTINGS_FILE, TokenizerSettings
from bebertlab.errors import UserError
from bebertlab.files import read_json

TOKENIZER_FILE = "tokenizer.json"

#: classes written in Python, which do more than a tokenizer.json says
_IN_PYTHON = ("BertJapaneseTokenizer", "BertweetTokenizer", "TapasTokenizer")
#: classes that take a tokenizer.json as it is; every other one has settings of its own
_AS_IT_IS = ("PreTrainedTokenizerFast", "TokenizersBackend")


def read_tokenizer_file(path: Path, settings: TokenizerSettings) -> Tokenizer:
    """The tokenizer of a tokenizer.json as it is; `settings` are those beside it.

    Where the settings leave segments out, all of them are 0, as a model of transformers takes them then.

    Raises:
        UserError: it is damaged, contradicts the settings, or is of a class that cannot be used.
    """
    read_json(path)  # whose messages are better
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the package raises nothing more special
        raise UserError(f"{path}: not a readable {TOKENIZER_FILE}: {error}") from error
    _check_class(path, tokenizer, settings)
    if not settings.segments:
        tokenizer = _without_segments(path, tokenizer)
    _check_special(path, tokenizer, settings)
    _check_model(path, tokenizer)
    _check_added(path, tokenizer, settings)
    for name, said, does in _normalization(tokenizer, settings):
        raise UserError(
            f"{path} and {SETTINGS_FILE} contradict each other: {name} is {str(said).lower()}, and the former"
            f" {does}; make both say how the model was trained"
        )
    return tokenizer


def template(tokenizer: Tokenizer, *, pair: bool) -> tuple[list[int], list[int]]:
    """Ids and segments of a text of one token, or of a pair of such, whose own id is -1 here."""
    text = _one_token()
    found = tokenizer.post_process(text, text if pair else None)
    marks = found.special_tokens_mask
    return [index if special else -1 for index, special in zip(found.ids, marks, strict=True)], list(found.type_ids)


def _check_class(path: Path, tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    named = settings.tokenizer_class
    if named in _IN_PYTHON:
        model = type(tokenizer.model).__name__
        raise UserError(
            f"{path} is of the class {named} ({model}), which does in Python what the file does not say, so it cannot"
            " be used"
        )
    if len(template(tokenizer, pair=False)[0]) == 1 and named not in _AS_IT_IS:
        raise UserError(
            f"{path} puts no special tokens around a text, the class {named or 'BertTokenizer'} does; give it a"
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
            f"{path} gives the second text of a pair a segment of its own ({kind}), the settings beside it leave"
            " segments out; give it a post-processor of type TemplateProcessing"
        )
    return changed


def _segmented(tokenizer: Tokenizer) -> bool:
    return any(max(template(tokenizer, pair=pair)[1], default=0) > 0 for pair in (False, True))


def _in_one_segment(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a post-processor whose segments are all 0; every other part as it is."""
    if part.get("type") == "BertProcessing":
        (end, end_id), (start, start_id) = part["sep"], part["cls"]
        made = processors.TemplateProcessing(
            single=f"{start} $A {end}",
            pair=f"{start} $A {end} $B {end}",
            special_tokens=[(start, start_id), (end, end_id)],
        )
        found: dict[str, Any] = json.loads(made.__getstate__())
        return found
    return {**part, "type_id": 0} if set(part) == {"id", "type_id"} else part


def _check_special(path: Path, tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    """Check that the special tokens around a text have the ids of the vocabulary, and are those that are named."""
    text = _one_token()
    found = tokenizer.post_process(text, text)
    around = {
        token: index
        for token, index, special in zip(found.tokens, found.ids, found.special_tokens_mask, strict=True)
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
                f"{path} and the settings beside it contradict each other: {name} is '{token}', the former puts"
                f" {', '.join(around)} around texts; make both say how the model was trained"
            )


def _check_model(path: Path, tokenizer: Tokenizer) -> None:
    model = tokenizer.model
    if not tokenizer.get_vocab_size(with_added_tokens=False):
        raise UserError(f"{path}: the tokenizer has no words")
    if getattr(model, "dropout", None):
        raise UserError(f"{path}: its tokens are drawn at random (dropout of BPE is {model.dropout}); set it to null")
    unknown = getattr(model, "unk_token", None)
    needed = isinstance(model, models.WordPiece | models.WordLevel)
    if (needed or unknown is not None) and (unknown is None or tokenizer.token_to_id(unknown) is None):
        raise UserError(f"{path}: its vocabulary has no token for what it does not know ({unknown})")


def _check_added(path: Path, tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    for token, index in settings.added_tokens.items():
        given = tokenizer.token_to_id(token.content)
        if index is not None and given != index:
            found = "lacks it" if given is None else f"has it as {given}"
            raise UserError(
                f"{settings.folder}: the settings beside {TOKENIZER_FILE} name the added token '{token.content}' with"
                f" id {index}, {TOKENIZER_FILE} {found}; save the tokenizer again"
            )


def _normalization(tokenizer: Tokenizer, settings: TokenizerSettings) -> list[tuple[str, bool, str]]:
    """Settings that the tokenizer does otherwise: name, what is said, what it does."""
    if settings.tokenizer_class in _AS_IT_IS:
        return []  # which no one reads for this class
    normalize, cut = tokenizer.normalizer, tokenizer.pre_tokenizer

    def normal(text: str) -> str:
        return text if normalize is None else normalize.normalize_str(text).strip()

    lower = normal("A") == "a"
    strips = normal("\u00e9") == "e"
    chinese = normal("\u4e2d\u4e2d")
    cuts = len(cut.pre_tokenize_str(chinese) if cut else chinese.split()) > 1
    does = {
        "do_lower_case": (lower, "lower-cases letters", "keeps capitals"),
        "strip_accents": (strips, "strips accents", "keeps accents"),
        "tokenize_chinese_chars": (cuts, "cuts Chinese characters apart", "keeps Chinese characters together"),
    }
    return [
        (name, said, yes if it_does else no)
        for name, (it_does, yes, no) in does.items()
        if (said := settings.flag(name)) is not None and said is not it_does
    ]


def _one_token() -> Encoding:
    return Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).encode("a", add_special_tokens=False)
