from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from bebertlab.data.tokenizer import (
    check_segments,
    check_vocabulary,
    has_tokenizer,
    read_tokenizer,
    set_maximum_tokens,
)
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.stage import different_parts
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from tests.data.conftest import WORDS, Change, save_custom_tokenizer


def test_a_tokenizer_file_is_used_unchanged(tmp_path: Path) -> None:
    folder = save_custom_tokenizer(tmp_path / "own", tokenizer_class="PreTrainedTokenizerFast", do_lower_case=True)
    tokenizer = read_tokenizer(folder)
    assert tokenizer.tokenizer.encode("a A").ids == [2, 4, 5, 3]
    assert len(tokenizer) == 9
    tokenizer.save_pretrained(tmp_path / "copy")
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_a_vocabulary_becomes_a_file_that_transformers_reads_equally(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "Cat"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    tokenizer = read_tokenizer(tmp_path)
    tokenizer.save_pretrained(tmp_path / "saved")
    again, theirs = read_tokenizer(tmp_path / "saved"), AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert different_parts(tokenizer.parts, again.parts) == ()
    assert tokenizer.tokenizer.encode("Cat cat").ids == theirs("Cat cat")["input_ids"] == [2, 6, 5, 3]
    assert (tmp_path / "saved" / "vocab.txt").read_text() == "\n".join(vocabulary)


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    folder = save_custom_tokenizer(tmp_path / "own")
    first = read_tokenizer(folder)
    assert read_tokenizer(folder) is first
    set_maximum_tokens(folder, 5)
    assert read_tokenizer(folder).maximum_tokens == 5


def test_truncation_and_padding_of_the_file_do_not_change_the_digest(tmp_path: Path) -> None:
    def cut(tokenizer: Tokenizer) -> None:
        tokenizer.enable_truncation(3)
        tokenizer.enable_padding(length=10, pad_id=0)

    tokenizer = read_tokenizer(save_custom_tokenizer(tmp_path / "cut", cut))
    assert tokenizer.tokenizer.encode("a a a a").ids == [2, 4, 4, 4, 4, 3]
    assert different_parts(tokenizer.parts, read_tokenizer(save_custom_tokenizer(tmp_path / "whole")).parts) == ()


def _bpe(tokenizer: Tokenizer) -> None:
    tokenizer.model = models.BPE({**WORDS, "aa": 9}, [("a", "a")], unk_token="<unk>")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (_bpe, ("vocabulary",)),
        (
            lambda t: setattr(t, "model", models.WordPiece({**WORDS, "a": 5, "A": 4}, unk_token="<unk>")),
            ("vocabulary",),
        ),
        (lambda t: setattr(t, "normalizer", normalizers.BertNormalizer()), ("normalizer",)),
        (lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.WhitespaceSplit()), ("pre-tokenizer",)),
        (
            lambda t: setattr(t, "post_processor", processors.BertProcessing(("</s>", 3), ("a", 4))),
            ("special tokens",),
        ),
        (lambda t: t.add_tokens(["more"]), ("added tokens",)),
        (lambda t: t.enable_truncation(9, direction="left"), ("truncation side",)),
        (lambda t: setattr(t, "decoder", decoders.WordPiece()), ()),
        (lambda t: setattr(t, "post_processor", processors.BertProcessing(("</s>", 3), ("<s>", 2))), ()),
    ],
)
def test_the_digest_depends_only_on_what_changes_tokens(tmp_path: Path, change: Change, parts: tuple[str, ...]) -> None:
    use_one_token, other = (
        read_tokenizer(save_custom_tokenizer(tmp_path / "one")),
        read_tokenizer(save_custom_tokenizer(tmp_path / "other", change)),
    )
    assert different_parts(use_one_token.parts, other.parts) == parts


@pytest.mark.parametrize(
    "change",
    [
        None,
        lambda t: setattr(t, "post_processor", processors.BertProcessing(("</s>", 3), ("<s>", 2))),
        lambda t: setattr(t, "post_processor", processors.Sequence([t.post_processor])),
    ],
)
@pytest.mark.parametrize(
    "settings",
    [
        {"tokenizer_class": "TokenizersBackend"},
        {"tokenizer_class": "DistilBertTokenizerFast"},
        {"tokenizer_class": "BertTokenizer", "model_input_names": ["input_ids", "attention_mask"]},
    ],
)
def test_segments_disabled_by_the_settings_are_zero(
    tmp_path: Path, change: Change | None, settings: dict[str, Any]
) -> None:
    tokenizer = read_tokenizer(save_custom_tokenizer(tmp_path / "own", change, **settings))
    encoded = tokenizer.tokenizer.encode("a", "A a")
    assert (encoded.ids, encoded.type_ids) == ([2, 4, 3, 5, 4, 3], [0] * 6)
    assert tokenizer.segments(pairs=True) == 1
    tokenizer.save_pretrained(tmp_path / "copy")
    again = read_tokenizer(tmp_path / "copy")
    assert again.parts == tokenizer.parts
    assert Tokenizer.from_file(str(tmp_path / "copy" / "tokenizer.json")).encode("a", "A a").type_ids == [0] * 6


@pytest.mark.parametrize("names", [{}, {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}])
def test_pairs_are_read_as_transformers_reads_them(tmp_path: Path, names: dict[str, Any]) -> None:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    file = save_custom_tokenizer(tmp_path / "own") / "tokenizer.json"
    reference = PreTrainedTokenizerFast(tokenizer_file=str(file), pad_token="<pad>", **names)
    reference.save_pretrained(tmp_path / "saved")
    encoding = read_tokenizer(tmp_path / "saved").tokenizer.encode("a", "A a")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "saved")("a", "A a")
    assert (encoding.ids, encoding.type_ids) == (theirs["input_ids"], theirs.get("token_type_ids", [0] * 6))


def test_the_truncation_side_of_the_settings_overrides_that_of_the_file(tmp_path: Path) -> None:
    def truncate_left(tokenizer: Tokenizer) -> None:
        tokenizer.enable_truncation(3, direction="left")

    assert read_tokenizer(save_custom_tokenizer(tmp_path / "plain")).truncation_side == "right"
    assert read_tokenizer(save_custom_tokenizer(tmp_path / "file", truncate_left)).truncation_side == "left"
    assert (
        read_tokenizer(save_custom_tokenizer(tmp_path / "both", truncate_left, truncation_side="right")).truncation_side
        == "right"
    )
    assert (
        read_tokenizer(save_custom_tokenizer(tmp_path / "settings", truncation_side="left")).truncation_side == "left"
    )
    with pytest.raises(UserError, match=r"tokenizer_config\.json: truncation_side is 'up'; expected right or left"):
        read_tokenizer(save_custom_tokenizer(tmp_path / "wrong", truncation_side="up"))


def test_the_order_of_keys_does_not_change_the_digest(tmp_path: Path) -> None:
    use_one_token, other = save_custom_tokenizer(tmp_path / "one"), save_custom_tokenizer(tmp_path / "other")
    data = json.loads((use_one_token / "tokenizer.json").read_text())
    data["model"]["vocab"] = dict(reversed(data["model"]["vocab"].items()))
    (other / "tokenizer.json").write_text(json.dumps(dict(reversed(data.items()))))
    assert different_parts(read_tokenizer(use_one_token).parts, read_tokenizer(other).parts) == ()


def test_the_padding_token_is_detected(tmp_path: Path) -> None:
    def padded(tokenizer: Tokenizer) -> None:
        tokenizer.enable_padding(pad_id=6, pad_token="\u4e2d")

    assert read_tokenizer(save_custom_tokenizer(tmp_path / "named", pad_token="A")).padding == 5
    assert read_tokenizer(save_custom_tokenizer(tmp_path / "inside", padded)).padding == 6
    assert read_tokenizer(save_custom_tokenizer(tmp_path / "none")).padding == 0
    (save_custom_tokenizer(tmp_path / "config") / "config.json").write_text('{"pad_token_id": 4}')
    assert read_tokenizer(tmp_path / "config").padding == 4


def test_the_vocabulary_size_is_the_highest_id_plus_one(tmp_path: Path) -> None:
    model, sizes = models.WordPiece({**WORDS, "far": 22}, unk_token="<unk>"), tiny_model(tiny_task()).architecture
    tokenizer = read_tokenizer(save_custom_tokenizer(tmp_path / "own", model=model))
    assert len(tokenizer) == 23
    check_vocabulary(tokenizer, sizes)
    with pytest.raises(UserError, match="own: the ids of its tokens go up to 22, the word embedding has 22 rows"):
        check_vocabulary(tokenizer, evolve(sizes, vocabulary=22))


def test_segments_are_those_of_the_post_processor(tmp_path: Path) -> None:
    def use_one_token(tokenizer: Tokenizer) -> None:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 3), ("<s>", 2))

    sizes = evolve(tiny_model(tiny_task()).architecture, segments=1)
    tokenizer = read_tokenizer(save_custom_tokenizer(tmp_path / "two"))
    assert (tokenizer.segments(pairs=False), tokenizer.segments(pairs=True)) == (1, 2)
    check_segments(tokenizer, sizes, pairs=False, model="m")
    check_segments(read_tokenizer(save_custom_tokenizer(tmp_path / "one", use_one_token)), sizes, pairs=True, model="m")
    with pytest.raises(UserError, match=r"^m has 1 segment embedding \(type_vocab_size\), pairs of texts need 2$"):
        check_segments(tokenizer, sizes, pairs=True, model="m")


def test_setting_the_length_keeps_the_other_settings(tmp_path: Path) -> None:
    folder = save_custom_tokenizer(tmp_path / "own", tokenizer_class="PreTrainedTokenizerFast", model_max_length=10**30)
    assert read_tokenizer(folder).maximum_tokens is None
    set_maximum_tokens(folder, 12)
    assert json.loads((folder / "tokenizer_config.json").read_text()) == {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 12,
    }  # fmt: skip
    before = (folder / "tokenizer_config.json").stat().st_mtime_ns
    set_maximum_tokens(folder, 12)
    assert (folder / "tokenizer_config.json").stat().st_mtime_ns == before
    set_maximum_tokens(tiny_tokenizer(tmp_path / "bare"), 8)
    assert read_tokenizer(tmp_path / "bare").maximum_tokens == 8


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    assert not has_tokenizer(tmp_path)
    with pytest.raises(SetupError, match=r"has no tokenizer\.json \(nor vocab\.txt\)$"):
        read_tokenizer(tmp_path)
    with pytest.raises(SetupError, match=r"words\.txt: no such file; a tokenizer is a folder with tokenizer\.json"):
        read_tokenizer(tmp_path / "words.txt")
    (tmp_path / "config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    with pytest.raises(SetupError, match=r"its tokenizer has the class XLMRobertaTokenizer; save it"):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "Own"}}')
    with pytest.raises(UserError, match=r"tokenizer\.json: not a readable tokenizer\.json: "):
        read_tokenizer(tmp_path)
    assert has_tokenizer(tmp_path)


def test_a_vocabulary_of_another_name_ignores_the_settings_next_to_it(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    for name, ids in (("words.txt", [2, 5, 3]), ("vocab.txt", [2, 1, 3])):
        (tmp_path / name).write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncat\n")
        assert read_tokenizer(tmp_path / name).tokenizer.encode("Cat").ids == ids
