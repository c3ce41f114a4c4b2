from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.encoders.wordpiece import has_tokenizer, read_tokenizer
from bebertlab.errors import EnvironmentFault, UserError


def vocabulary(path: Path, *words: str, end: str = "\n") -> Path:
    path.write_text(end.join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, ""]), newline="")
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_vocabulary_alone_is_a_tokenizer(tmp_path: Path, end: str) -> None:
    path = vocabulary(tmp_path / "words.txt", "cat", "##s", "run", end=end)
    tokenizer = read_tokenizer(path)
    assert len(tokenizer) == 8
    assert tokenizer.convert_ids_to_tokens(tokenizer("Cats run")["input_ids"]) == [
        "[CLS]", "cat", "##s", "run", "[SEP]",
    ]  # fmt: skip


def test_capitals_are_kept_where_the_vocabulary_has_some(tmp_path: Path) -> None:
    path = vocabulary(tmp_path / "words.txt", "cat", "##s", "Run", "run")
    assert read_tokenizer(path).tokenize("cats Run run CAT") == ["cat", "##s", "Run", "run", "[UNK]"]


def test_a_folder_says_more_than_its_vocabulary(pretrained: Path) -> None:
    (pretrained / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert read_tokenizer(pretrained).tokenize("Cats") == ["[UNK]"]
    (pretrained / "tokenizer_config.json").unlink()
    assert read_tokenizer(pretrained).tokenize("Cats") == ["cat", "##s"]


def test_what_was_saved_is_read_again(pretrained: Path, tmp_path: Path) -> None:
    read_tokenizer(pretrained).save_pretrained(tmp_path / "saved")
    assert has_tokenizer(tmp_path / "saved")
    assert read_tokenizer(tmp_path / "saved").get_vocab() == read_tokenizer(pretrained).get_vocab()


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    assert not has_tokenizer(tmp_path)
    with pytest.raises(EnvironmentFault, match=r"vocab\.txt: no such file; a tokenizer is a folder with tokenizer\.js"):
        read_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_text("the\ncat\n[UNK]\n")
    with pytest.raises(UserError, match=r"it lacks \[PAD\], \[CLS\], \[SEP\], \[MASK\]"):
        read_tokenizer(tmp_path)
    with pytest.raises(UserError, match="the tokenizer has no words"):
        read_tokenizer(vocabulary(tmp_path / "vocab.txt"))
