from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from attrs import fields

from bebertlab.data import examples as examples_module
from bebertlab.data import tokens as tokens_module
from bebertlab.data.examples import load_examples
from bebertlab.data.tokenizer import read_tokenizer
from bebertlab.data.tokens import Tokens, TruncatingTokenizer, cached_tokens, tokens_key
from bebertlab.interfaces.task import TRAIN, Task
from bebertlab.testing.tiny import tiny_tokenizer

KEY = tokens_key("data", "train", "tokenizer", 32)
TOKENS = Tokens(
    ids=np.array([2, 7, 3, 2, 3], dtype=np.int32),
    segments=np.array([0, 0, 0, 0, 1], dtype=np.int8),
    lengths=np.array([3, 2]),
    offsets=np.array([0, 3]),
    truncated=1,
)


def same(first: Tokens, second: Tokens) -> bool:
    pairs = [(getattr(first, field.name), getattr(second, field.name)) for field in fields(Tokens)]
    return all(np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype for a, b in pairs)


def must_not_tokenize() -> Tokens:
    pytest.fail("computed again")


def test_tokens_are_written_once_and_read_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert cached_tokens(folder, KEY, lambda: TOKENS) is TOKENS
    assert [file.name for file in folder.iterdir()] == [f"{KEY}.safetensors"]
    assert same(cached_tokens(folder, KEY, must_not_tokenize), TOKENS)


@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_damaged_file_is_replaced(position: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cached_tokens(tmp_path, KEY, lambda: TOKENS)
    file = tmp_path / f"{KEY}.safetensors"
    content = bytearray(file.read_bytes())
    content[position] ^= 255
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING, logger="bebertlab"):
        assert cached_tokens(tmp_path, KEY, lambda: TOKENS) is TOKENS
    assert "is damaged and will be replaced" in caplog.text
    assert same(cached_tokens(tmp_path, KEY, must_not_tokenize), TOKENS)


@pytest.mark.parametrize("size", [0, 5, 100])
def test_a_truncated_file_is_replaced(size: int, tmp_path: Path) -> None:
    cached_tokens(tmp_path, KEY, lambda: TOKENS)
    file = tmp_path / f"{KEY}.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    assert cached_tokens(tmp_path, KEY, lambda: TOKENS) is TOKENS
    assert same(cached_tokens(tmp_path, KEY, must_not_tokenize), TOKENS)


def test_an_unwritable_cache_folder_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert cached_tokens(tmp_path / "file" / "cache", KEY, lambda: TOKENS) is TOKENS


def test_other_key_parts_give_other_file_names() -> None:
    names = [tokens_key(*parts) for parts in (("a", 1), ("a", 2), ("b", 1), ("a", "1"))]
    assert len({*names, KEY}) == 5


def test_another_process_reads_the_cached_tokens(
    task: Task, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(maximum_tokens: int = 32) -> Tokens:
        examples_module._examples.cache_clear()  # as in a process that starts
        return load_examples(task, TRAIN, tokenizer, maximum_tokens, cache=tmp_path).tokens

    first = load()
    monkeypatch.setattr(examples_module, "tokenize", lambda *_, **__: must_not_tokenize())
    assert same(load(), first)
    with pytest.raises(pytest.fail.Exception):
        load(maximum_tokens=31)
    examples_module._examples.cache_clear()


def test_several_processes_may_write_the_same_tokens(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: cached_tokens(tmp_path, KEY, lambda: TOKENS), range(64)))
    assert all(same(tokens, TOKENS) for tokens in results)
    assert [file.name for file in tmp_path.iterdir()] == [f"{KEY}.safetensors"]


@pytest.mark.parametrize("pairs", [None, ["a"] * 7])
def test_parts_of_many_texts_are_joined(
    pairs: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["good film", "the plot was bad and so", "", "a", "a cast", "the cast was good and so", "bad"]
    tokenizer = read_tokenizer(tiny_tokenizer(tmp_path)).tokenizer
    truncating = TruncatingTokenizer(tokenizer=tokenizer, maximum_tokens=6)
    whole = truncating.tokens(texts, pairs)
    assert (len(whole), whole.truncated) == (7, 2)
    monkeypatch.setattr(tokens_module, "_ENCODED", 3)
    assert same(truncating.tokens(texts, pairs), whole)
    assert len(truncating.tokens([])) == 0
