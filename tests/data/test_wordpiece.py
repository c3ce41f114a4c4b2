from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from bebertlab.data.tokenizer_settings import TokenizerSettings
from bebertlab.data.wordpiece import read_wordpiece
from bebertlab.errors import UserError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("cat", "##s", "run", "cafe", "Cat", "caf\u00e9", "\u4e2d", "##\u4e2d", "\u4e2d\u4e2d", "!", "new", "##token")
TEXTS = ("Cats RUN!", "cat [MASK] run [PAD]", "Caf\u00e9 caf\u00e9", "\u4e2d\u4e2d cat", "a newtoken cat", "[E] new")


def vocabulary(folder: Path, *tokens: str, special: tuple[str, ...] = SPECIAL, end: str = "\n") -> Path:
    (folder / "vocab.txt").write_text(end.join([*special, *tokens, ""]), encoding="utf-8", newline="")
    return folder / "vocab.txt"


def read(path: Path) -> Tokenizer:
    return read_wordpiece(path, TokenizerSettings.read(path.parent)).tokenizer


def settings(folder: Path, name: str = "tokenizer_config.json", **data: Any) -> None:  # noqa: ANN401 - plain data
    (folder / name).write_text(json.dumps(data))


@pytest.mark.parametrize(
    "data",
    [
        {"do_lower_case": True},
        {"do_lower_case": False},
        {"do_lower_case": True, "strip_accents": False},
        {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False},
        {"do_lower_case": True, "tokenizer_class": "BertTokenizerFast", "model_max_length": 512},
        {"do_lower_case": True, "additional_special_tokens": ["[E]"]},
        {"do_lower_case": True, "cls_token": "new", "unk_token": "!"},
    ],
)
def test_tokens_equal_those_of_transformers(tmp_path: Path, data: dict[str, Any]) -> None:
    from transformers import BertTokenizer

    path = vocabulary(tmp_path, *WORDS)
    settings(tmp_path, **data)
    ours, theirs = read(path), BertTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert ours.encode(text).ids == theirs(text)["input_ids"]
        pair = ours.encode(text, "cat run")
        assert [pair.ids, pair.type_ids] == [theirs(text, "cat run")[name] for name in ("input_ids", "token_type_ids")]


def test_added_tokens_are_those_of_transformers(tmp_path: Path) -> None:
    from transformers import BertTokenizer

    path = vocabulary(tmp_path, *WORDS)
    settings(tmp_path, do_lower_case=True)
    settings(tmp_path, "added_tokens.json", newtoken=17, **{"[E]": 18})
    ours, theirs = read(path), BertTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert ours.encode(text).ids == theirs(text)["input_ids"]
    assert 18 in ours.encode("[E] new").ids
    settings(tmp_path, "added_tokens.json", newtoken=30)
    with pytest.raises(UserError, match="the added token 'newtoken' would have id 17, its files say 30"):
        read(path)


def test_without_settings_the_vocabulary_determines_lower_casing(tmp_path: Path) -> None:
    assert read(vocabulary(tmp_path, "cat", "[E1]")).encode("CAT").ids == [2, 5, 3]
    assert read(vocabulary(tmp_path, "cat", "Cat")).encode("Cat cat CAT").ids == [2, 6, 5, 1, 3]
    assert read(vocabulary(tmp_path, "caf\u00e9", "cafe")).encode("CAF\u00c9 cafe").ids == [2, 5, 6, 3]
    assert read(vocabulary(tmp_path, "cafe")).encode("CAF\u00c9").ids == [2, 5, 3]
    settings(tmp_path, model_max_length=512)
    assert read(vocabulary(tmp_path, "cat", "Cat")).encode("Cat cat").ids == [2, 6, 5, 3]


def test_the_effective_settings_are_recorded(tmp_path: Path) -> None:
    path = vocabulary(tmp_path, "cat", "Cat", special=("[UNK]", "[CLS]", "[SEP]"))
    settings(tmp_path, model_max_length=64)
    settings_read = read_wordpiece(path, TokenizerSettings.read(tmp_path)).settings
    assert settings_read == {
        "tokenizer_class": "BertTokenizer", "model_max_length": 64, "do_lower_case": False, "strip_accents": None,
        "tokenize_chinese_chars": True, "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
    }  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n"])
def test_line_ends_and_a_byte_order_mark_are_not_part_of_a_token(tmp_path: Path, end: str) -> None:
    path = vocabulary(tmp_path, "cat", "dog", special=("\ufeff[PAD]", *SPECIAL[1:]), end=end)
    assert read(path).encode("dog cat").ids == [2, 6, 5, 3]
    assert read(path).token_to_id("[PAD]") == 0


def test_blank_and_repeated_lines_have_ids_too(tmp_path: Path) -> None:
    path = vocabulary(tmp_path, "cat", "", "cat", "dog", "", "")
    assert read(path).encode("dog cat").ids == [2, 8, 7, 3]


def test_other_tokenizer_classes_are_refused_by_name(tmp_path: Path) -> None:
    path = vocabulary(tmp_path, *WORDS)
    settings(tmp_path, "config.json", tokenizer_class="BertJapaneseTokenizer")
    with pytest.raises(UserError, match=r"vocab\.txt has the class BertJapaneseTokenizer, which is not BERT's"):
        read(path)
    (tmp_path / "config.json").unlink()
    settings(tmp_path, tokenizer_class="BertTokenizer", do_basic_tokenize=False)
    with pytest.raises(UserError, match="do_basic_tokenize is False, which is not supported"):
        read(path)
    settings(tmp_path, never_split=["cat"])
    with pytest.raises(UserError, match="never_split is"):
        read(path)
    settings(tmp_path, never_split=None, do_basic_tokenize=True)
    read(path)


def test_an_invalid_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\[CLS\], \[SEP\] missing"):
        read(vocabulary(tmp_path, "cat", special=("[UNK]",)))
    with pytest.raises(UserError, match="the tokenizer has no words"):
        read(vocabulary(tmp_path))
    (tmp_path / "vocab.txt").write_bytes(b"[UNK]\n\xff")
    with pytest.raises(UserError, match="byte 6 is not UTF-8"):
        read(tmp_path / "vocab.txt")
