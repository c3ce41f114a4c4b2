from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, processors

from bebertlab.data.tokenizer import read_tokenizer
from bebertlab.data.tokenizer_file import panics_as_errors, read_tokenizer_file, template
from bebertlab.data.tokenizer_settings import TokenizerSettings
from bebertlab.errors import UserError
from tests.data.conftest import WORDS, save_custom_tokenizer


def read(folder: Path) -> Tokenizer:
    return read_tokenizer_file(folder / "tokenizer.json", TokenizerSettings.read(folder))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"do_lower_case": True}, "do_lower_case is true, and the former keeps capitals"),
        ({"strip_accents": True}, "strip_accents is true, and the former keeps accents"),
        ({"tokenize_chinese_chars": True}, "tokenize_chinese_chars is true, and the former keeps Chinese"),
        ({"cls_token": "a"}, "cls_token is 'a', the former puts <s>, </s> around texts"),
        ({"sep_token": {"content": "<pad>"}}, "sep_token is '<pad>', the former puts <s>, </s> around texts"),
        ({"tokenizer_class": "BertJapaneseTokenizer"}, r"the class BertJapaneseTokenizer \(WordPiece\)"),
        (
            {"added_tokens_decoder": {"9": {"content": "[E]"}}},
            r"added token '\[E\]' the id 9, tokenizer.json lacks it",
        ),
        ({"added_tokens_decoder": {"5": {"content": "a"}}}, r"added token 'a' the id 5, tokenizer.json has it as 4"),
    ],
)
def test_settings_that_contradict_the_file_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(save_custom_tokenizer(tmp_path / "own", **{"tokenizer_class": "BertTokenizer", **settings}))


def test_settings_that_agree_with_the_file_are_accepted(tmp_path: Path) -> None:
    same: dict[str, Any] = {
        "do_lower_case": True,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
        "cls_token": "<s>",
        "sep_token": {"content": "</s>"},
    }
    read(
        save_custom_tokenizer(
            tmp_path / "own", lambda t: setattr(t, "normalizer", normalizers.BertNormalizer()), **same
        )
    )
    kept: dict[str, Any] = {"do_lower_case": False, "strip_accents": False, "tokenize_chinese_chars": False}
    read(save_custom_tokenizer(tmp_path / "kept", **kept))


def test_missing_special_tokens_around_a_text_are_refused(tmp_path: Path) -> None:
    def bare(tokenizer: Tokenizer) -> None:
        tokenizer.post_processor = processors.ByteLevel()

    with pytest.raises(
        UserError, match="puts no special tokens around a text, the class BertTokenizer does; give it a"
    ):
        read(save_custom_tokenizer(tmp_path / "bare", bare))
    tokenizer = read(save_custom_tokenizer(tmp_path / "meant", bare, tokenizer_class="PreTrainedTokenizerFast"))
    assert tokenizer.encode("a A").ids == [4, 5]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            models.WordPiece({"a": 4, "<s>": 2, "</s>": 3}, unk_token="<unk>"),
            r"no token for unknown words \(<unk>",
        ),
        (models.WordLevel({}, unk_token="<unk>"), "the tokenizer has no words"),
        (models.BPE(WORDS, [], unk_token="<unk>", dropout=0.1), "its tokens are random"),
    ],
)
def test_models_that_cannot_be_used_are_refused(tmp_path: Path, model: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(save_custom_tokenizer(tmp_path / "own", model=model))


def test_special_tokens_have_the_ids_of_the_vocabulary(tmp_path: Path) -> None:
    def renumber(tokenizer: Tokenizer) -> None:
        tokenizer.model = models.WordPiece({**WORDS, "<s>": 4, "a": 2}, unk_token="<unk>")

    with pytest.raises(UserError, match=r"its post-processor has '<s>' as 2, its vocabulary as 4"):
        read(save_custom_tokenizer(tmp_path / "own", renumber))


def test_the_template_is_taken_from_the_post_processor(tmp_path: Path) -> None:
    tokenizer = read(save_custom_tokenizer(tmp_path / "own"))
    assert template(tokenizer, pair=False) == ([2, -1, 3], [0, 0, 0])
    assert template(tokenizer, pair=True) == ([2, -1, 3, -1, 3], [0, 0, 0, 1, 1])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "Own"}}')
    with pytest.raises(UserError, match=r"tokenizer\.json: not a readable tokenizer\.json: "):
        read(tmp_path)


def test_a_panic_of_the_package_is_an_error_that_names_the_tokenizer(tmp_path: Path) -> None:
    folder = save_custom_tokenizer(tmp_path / "own")
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    del data["post_processor"]["special_tokens"]["<s>"]
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UserError, match=r"own: not a readable tokenizer\.json: it contradicts itself"):
        read_tokenizer(folder)
    with pytest.raises(KeyboardInterrupt), panics_as_errors(folder):
        raise KeyboardInterrupt
