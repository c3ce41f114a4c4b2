from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, BertTokenizer

from bebertlab.data.tokenizer import ModelTokenizer, read_tokenizer
from bebertlab.packed.tokenizer import write_tokenizer
from bebertlab.testing.tiny import tiny_tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "caf", "##e", "Cafe", "##s", "\u4e2d", ","]
TEXTS = ["the Cafes, caf\u00e9", "\u4e2d\u4e2d [MASK]  the\n", "", "[SEP] x"]


def settings(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    return data


def bert(folder: Path, **fields: object) -> ModelTokenizer:
    BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)}, **fields).save_pretrained(folder)
    return read_tokenizer(folder)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder that transformers knows no model of, as that of a packed model is."""
    (tmp_path / "written").mkdir()
    (tmp_path / "written/config.json").write_text('{"model_type": "bebertlab-bert"}', encoding="utf-8")
    return tmp_path / "written"


def vocabulary_alone(folder: Path) -> ModelTokenizer:
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    return read_tokenizer(folder)


@pytest.mark.parametrize(
    "make",
    [
        bert,
        lambda folder: bert(folder, do_lower_case=False, strip_accents=True, tokenize_chinese_chars=False),
        vocabulary_alone,
        lambda folder: read_tokenizer(tiny_tokenizer(folder)),
    ],
    ids=["lower", "cased", "vocabulary", "words"],
)
def test_transformers_makes_the_same_tokens(make: Any, source: Path, written: Path) -> None:  # noqa: ANN401
    tokenizer = make(source)
    write_tokenizer(tokenizer, written, 16)
    theirs = AutoTokenizer.from_pretrained(written)
    ours = read_tokenizer(written)
    assert (theirs.model_max_length, ours.maximum_tokens) == (16, 16)
    assert ours.parts == tokenizer.parts
    for text in TEXTS:
        for pair in (None, "the, caf"):
            encoding = tokenizer.tokenizer.encode(text, pair)
            inputs = theirs(text, pair)
            assert inputs["input_ids"] == encoding.ids
            assert inputs["token_type_ids"] == encoding.type_ids


def test_transformers_pads_with_the_token_of_the_model(source: Path, written: Path) -> None:
    write_tokenizer(read_tokenizer(tiny_tokenizer(source)), written, 16)
    assert AutoTokenizer.from_pretrained(written)(["the", "the the"], padding=True)["input_ids"][0][-1] == 0


def test_a_model_without_segments_gets_none(source: Path, written: Path) -> None:
    write_tokenizer(bert(source, model_input_names=["input_ids", "attention_mask"]), written, 16)
    assert "token_type_ids" not in AutoTokenizer.from_pretrained(written)("the", "the")
    assert read_tokenizer(written).tokenizer.encode("the", "the").type_ids == [0] * 5


def test_other_settings_stay_and_code_is_left_out(source: Path, written: Path) -> None:
    tiny_tokenizer(source)
    given = {"truncation_side": "left", "pad_token": "[UNK]", "auto_map": {"AutoTokenizer": ["x.Y", None]}}
    given["tokenizer_class"] = "BertTokenizer"
    (source / "tokenizer_config.json").write_text(json.dumps(given), encoding="utf-8")
    write_tokenizer(read_tokenizer(source), written, 16)
    saved = settings(written)
    assert saved["truncation_side"] == "left"
    assert saved["pad_token"] == "[UNK]"
    assert saved["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "auto_map" not in saved
