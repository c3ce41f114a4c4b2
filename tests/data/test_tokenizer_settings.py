from __future__ import annotations

import json
from pathlib import Path

import pytest

from bebertlab.data.tokenizer_settings import TokenizerSettings
from bebertlab.errors import UserError


def read(folder: Path, name: str = "tokenizer_config.json", **data: object) -> TokenizerSettings:
    (folder / name).write_text(json.dumps(data))
    return TokenizerSettings.read(folder)


def test_settings_may_be_missing(tmp_path: Path) -> None:
    settings = TokenizerSettings.read(tmp_path)
    assert (settings.tokenizer_class, settings.maximum_tokens, settings.flag("do_lower_case")) == (None, None, None)
    assert settings.segments
    assert {name: token.content for name, token in settings.special_tokens.items()} == {
        "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
    }  # fmt: skip
    assert settings.added_tokens == {}


@pytest.mark.parametrize(
    ("value", "tokens"), [(128, 128), (512.0, 512), (1000000000000000019884624838656, None), (1e30, None), (None, None)]
)
def test_an_unlimited_length_is_none(tmp_path: Path, value: object, tokens: int | None) -> None:
    assert read(tmp_path, model_max_length=value).maximum_tokens == tokens


@pytest.mark.parametrize("value", [0, -1, 2, True, "128", [128]])
def test_an_invalid_length_is_refused(tmp_path: Path, value: object) -> None:
    settings = read(tmp_path, model_max_length=value)
    with pytest.raises(UserError, match=r"tokenizer_config\.json: model_max_length is .*; expected an integer, 3 or"):
        _ = settings.maximum_tokens


def test_flags_are_true_or_false(tmp_path: Path) -> None:
    settings = read(tmp_path, do_lower_case=False, strip_accents="no")
    assert settings.flag("do_lower_case") is False
    with pytest.raises(UserError, match=r"strip_accents is 'no'; expected true or false"):
        settings.flag("strip_accents")


def test_the_class_is_determined_as_in_transformers(tmp_path: Path) -> None:
    assert read(tmp_path, "config.json", tokenizer_class="BertJapaneseTokenizer").tokenizer_class == (
        "BertJapaneseTokenizer"
    )
    assert read(tmp_path, tokenizer_class="BertTokenizer").tokenizer_class == "BertTokenizer"
    code = {"AutoTokenizer": ["own.OwnTokenizer", None]}
    (tmp_path / "config.json").unlink()
    assert read(tmp_path, auto_map=code).tokenizer_class == "own.OwnTokenizer"


def test_special_tokens_can_be_renamed(tmp_path: Path) -> None:
    special = {"cls_token": "<s>", "pad_token": {"content": "<pad>", "lstrip": True}}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(special))
    old = read(tmp_path, cls_token="[START]", sep_token="</s>").special_tokens
    assert [old[name].content for name in ("cls_token", "sep_token", "pad_token")] == ["<s>", "</s>", "<pad>"]
    assert old["pad_token"].lstrip
    assert all(token.special and not token.normalized for token in old.values())
    new = read(tmp_path, cls_token="[START]", added_tokens_decoder={}).special_tokens
    assert new["cls_token"].content == "[START]"


def test_added_tokens_are_ordered_by_id(tmp_path: Path) -> None:
    (tmp_path / "added_tokens.json").write_text(json.dumps({"late": 12, "[E]": 11}))
    tokens = read(tmp_path, additional_special_tokens=["[E]", "[F]"]).added_tokens
    assert [(token.content, token.special, index) for token, index in tokens.items()] == [
        ("[E]", True, 11), ("late", False, 12), ("[F]", True, None),
    ]  # fmt: skip
    decoder = {"7": {"content": "x", "normalized": False}, "6": {"content": "y", "special": True}}
    tokens = read(tmp_path, added_tokens_decoder=decoder).added_tokens
    assert [(token.content, token.special, index) for token, index in tokens.items()] == [
        ("y", True, 6),
        ("x", False, 7),
    ]


def test_a_tokenizer_can_disable_segments(tmp_path: Path) -> None:
    assert not read(tmp_path, model_input_names=["input_ids", "attention_mask"]).segments
    assert read(tmp_path, model_input_names=["input_ids", "token_type_ids"]).segments
