from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve
from tokenizers import Tokenizer, models

from bebertlab.data.batches import batches, group_in_order
from bebertlab.data.examples import load_examples
from bebertlab.data.tokenizer import read_tokenizer
from bebertlab.data.tokens import Tokens, tokenize
from bebertlab.errors import UserError
from bebertlab.interfaces.task import SELECT, TRAIN, Split, Task
from bebertlab.testing.tiny import tiny_task


def test_examples_are_in_dataset_order(task: Task, tokenizer: Path) -> None:
    examples = load_examples(task, TRAIN, tokenizer, 32)
    assert len(examples) == len(task.splits[TRAIN])
    assert examples.labels.dtype is torch.int64
    assert examples.labels.tolist() == task.splits[TRAIN].labels.tolist()
    lengths = [len(text.split()) + 2 for text in task.splits[TRAIN].texts]
    assert examples.tokens.lengths.tolist() == lengths


def test_regression_has_real_labels(tokenizer: Path) -> None:
    assert load_examples(tiny_task(regression=True), TRAIN, tokenizer, 32).labels.dtype is torch.float32


def test_equal_requests_are_tokenised_once(task: Task, tokenizer: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(tokenizer, tmp_path / "copy"))
    known = load_examples(task, TRAIN, tokenizer, 32)
    assert load_examples(tiny_task(), TRAIN, copied, 32) is known
    assert load_examples(task, SELECT, tokenizer, 32) is not known
    assert load_examples(task, TRAIN, tokenizer, 5) is not known


def test_a_task_with_other_texts_or_labels_is_tokenised_separately(task: Task, tokenizer: Path, tmp_path: Path) -> None:
    split = task.splits[TRAIN]
    known = load_examples(task, TRAIN, tokenizer, 32, cache=tmp_path)
    texts = ("good film", *split.texts[1:])
    other = load_examples(_with_train(task, texts=texts), TRAIN, tokenizer, 32, cache=tmp_path)
    assert other.tokens.lengths[0] == 4 != known.tokens.lengths[0]
    flipped = load_examples(_with_train(task, labels=1 - split.labels), TRAIN, tokenizer, 32, cache=tmp_path)
    assert flipped.labels.tolist() == (1 - split.labels).tolist()
    assert flipped.tokens.ids.tolist() == known.tokens.ids.tolist()
    assert len(list(tmp_path.iterdir())) == 2  # tokens depend on texts alone


def test_integer_labels_are_classes_or_scores_depending_on_the_task(task: Task, tokenizer: Path) -> None:
    scores = evolve(task, classes=())
    assert load_examples(task, TRAIN, tokenizer, 32).labels.dtype is torch.int64
    assert load_examples(scores, TRAIN, tokenizer, 32).labels.dtype is torch.float32


def _with_train(task: Task, **changes: Any) -> Task:  # noqa: ANN401 - fields of a split
    return evolve(task, splits={**task.splits, TRAIN: evolve(task.splits[TRAIN], **changes)})


def test_batches_are_filled_with_the_padding_token(task: Task, tokenizer: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(tokenizer, tmp_path / "copy"))
    (copied / "tokenizer_config.json").write_text('{"pad_token": "good"}')
    examples = load_examples(task, TRAIN, copied, 32)
    good = examples.padding
    assert examples.take(np.arange(3)).padding == good
    assert good == read_tokenizer(copied).tokenizer.token_to_id("good") != 0
    batch = next(batches(examples, group_in_order(examples.tokens.lengths.argsort(), 96)))
    assert (batch.tokens[~batch.mask] == good).all()
    assert not batch.segments[~batch.mask].any()
    plain = load_examples(task, TRAIN, tokenizer, 32)
    first = next(batches(plain, group_in_order(plain.tokens.lengths.argsort(), 96)))
    assert not first.tokens[~first.mask].any()


def test_long_texts_are_truncated_on_the_side_set_by_the_tokenizer(task: Task, tokenizer: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(tokenizer, tmp_path / "copy"))
    (copied / "tokenizer_config.json").write_text('{"truncation_side": "left"}')
    whole, right, left = (
        load_examples(task, TRAIN, folder, length, cache=tmp_path).tokens
        for folder, length in ((tokenizer, 32), (tokenizer, 4), (copied, 4))
    )
    ids = whole.ids[: whole.lengths[0]].tolist()
    assert len(ids) > 4
    assert right.ids[:4].tolist() == [*ids[:3], ids[-1]]
    assert left.ids[:4].tolist() == [ids[0], *ids[-3:]]


def test_texts_that_the_tokenizer_cannot_read_are_named(task: Task, tmp_path: Path) -> None:
    def saved(model: models.Model, **settings: str) -> Path:
        Tokenizer(model).save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        return tmp_path

    with pytest.raises(UserError, match=r"tokenizer\.json cannot tokenize the texts: .*unk_id"):
        load_examples(task, TRAIN, saved(models.Unigram([("a", -1.0)])), 32)
    with pytest.raises(UserError, match=r"tokenizer\.json gives no tokens for example train-\d+$"):
        load_examples(task, TRAIN, saved(models.BPE({"v": 0}, [])), 32)


def test_a_folder_without_tokenizer_is_an_error(task: Task, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no tokenizer\.json"):
        load_examples(task, TRAIN, tmp_path, 32)


@pytest.fixture
def word_tokenizer(tokenizer: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tokenizer / "tokenizer.json"))


def split_of(*texts: str, pairs: tuple[str, ...] | None = None) -> Split:
    ids = tuple(str(i) for i in range(len(texts)))
    return Split(ids=ids, texts=texts, pairs=pairs, labels=np.zeros(len(texts), dtype=np.int64))


def read(tokens: Tokens, word_tokenizer: Tokenizer, index: int) -> tuple[str, list[int]]:
    chosen = slice(tokens.offsets[index], tokens.offsets[index] + tokens.lengths[index])
    return " ".join(str(word_tokenizer.id_to_token(item)) for item in tokens.ids[chosen]), tokens.segments[
        chosen
    ].tolist()


def test_examples_are_stored_contiguously(word_tokenizer: Tokenizer) -> None:
    tokens = tokenize(word_tokenizer, split_of("the film", "good", "a poor plot"), 8)
    assert len(tokens) == 3
    assert tokens.lengths.tolist() == [4, 3, 5]
    assert read(tokens, word_tokenizer, 2) == ("[CLS] a poor plot [SEP]", [0, 0, 0, 0, 0])
    assert len(tokens.ids) == len(tokens.segments) == 12


def test_the_second_text_of_a_pair_has_segment_1(word_tokenizer: Tokenizer) -> None:
    tokens = tokenize(word_tokenizer, split_of("the film", pairs=("good",)), 8)
    assert read(tokens, word_tokenizer, 0) == ("[CLS] the film [SEP] good [SEP]", [0, 0, 0, 0, 1, 1])


def test_the_longer_text_of_a_pair_is_truncated(word_tokenizer: Tokenizer) -> None:
    tokens = tokenize(word_tokenizer, split_of("the film was a good plot", pairs=("so bad",)), 8)
    assert read(tokens, word_tokenizer, 0)[0] == "[CLS] the film was [SEP] so bad [SEP]"


def test_truncated_examples_are_counted_and_others_stay_unchanged(word_tokenizer: Tokenizer) -> None:
    texts = ("the film was a good plot", "good", "a poor plot", "so bad a film the")
    tokens = tokenize(word_tokenizer, split_of(*texts), 6)
    assert tokens.truncated == 2
    assert [read(tokens, word_tokenizer, index)[0] for index in range(4)] == [
        "[CLS] the film was a [SEP]",
        "[CLS] good [SEP]",
        "[CLS] a poor plot [SEP]",
        "[CLS] so bad a film [SEP]",
    ]
    assert tokenize(word_tokenizer, split_of(*texts), 8).truncated == 0
    assert tokenize(word_tokenizer, split_of(*texts, pairs=("bad", "the film", "", "so")), 8).truncated == 2


def test_an_empty_second_text_is_an_ordinary_input(word_tokenizer: Tokenizer) -> None:
    tokens = tokenize(word_tokenizer, split_of("the film", pairs=("",)), 8)
    assert read(tokens, word_tokenizer, 0) == ("[CLS] the film [SEP] [SEP]", [0, 0, 0, 0, 1])


def test_the_callers_tokenizer_is_not_changed(word_tokenizer: Tokenizer) -> None:
    word_tokenizer.enable_padding(length=20)
    tokens = tokenize(word_tokenizer, split_of("the film"), 3)
    assert tokens.lengths.tolist() == [3]
    assert word_tokenizer.truncation is None
    assert word_tokenizer.padding is not None


def test_examples_are_spread_over_all_lengths(task: Task, tokenizer: Path) -> None:
    examples = load_examples(task, TRAIN, tokenizer, 32)
    lengths = examples.tokens.lengths
    spread = examples.spread(8)
    assert len(set(spread.tolist())) == 8
    assert lengths[spread].tolist() == np.sort(lengths)[6::12].tolist()
    assert sorted(examples.spread(1000).tolist()) == list(range(len(examples)))
