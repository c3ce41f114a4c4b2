from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bebertlab.bench.data import (
    EPOCH_SENTENCES,
    MAXIMUM_TOKENS,
    SENTENCES_BY_TOKENS,
    RepresentativeBatches,
    generated_batches,
    generated_examples,
    generated_task,
    sentence_lengths,
    text_task,
)
from bebertlab.bench.models import SHAPES, BenchConfig
from bebertlab.data.examples import load_examples
from bebertlab.interfaces.task import TRAIN
from bebertlab.training.sampler import EpochSampler
from bebertlab_encoders.tiny import TinyEncoder

LENGTHS = np.array([5, 3, 9])
MANY_LENGTHS = sentence_lengths(1600, seed=0)


def test_histogram_counts_the_training_sentences_of_sst2() -> None:
    assert EPOCH_SENTENCES == 67_349
    tokens = np.arange(len(SENTENCES_BY_TOKENS))
    assert float(np.average(tokens, weights=SENTENCES_BY_TOKENS)) == pytest.approx(13.319, abs=1e-3)


@pytest.mark.parametrize("sentences", [10, 64, 1600])
def test_any_number_of_lengths_has_the_mean_of_sst2(sentences: int) -> None:
    lengths = sentence_lengths(sentences, seed=0)
    assert len(lengths) == sentences
    assert float(lengths.mean()) == pytest.approx(13.32, rel=0.05)


def test_lengths_of_an_epoch_are_the_histogram_clipped_at_the_maximum() -> None:
    lengths = np.bincount(sentence_lengths(EPOCH_SENTENCES, seed=3))
    assert tuple(lengths[:MAXIMUM_TOKENS]) == SENTENCES_BY_TOKENS[:MAXIMUM_TOKENS]
    assert lengths[MAXIMUM_TOKENS] == sum(SENTENCES_BY_TOKENS[MAXIMUM_TOKENS:])


def test_seed_shuffles_the_lengths() -> None:
    first, same, other = (sentence_lengths(100, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert np.array_equal(np.sort(first), np.sort(other))


def test_histogram_agrees_with_sst2_where_it_is_available() -> None:
    folder = Path(os.environ.get("BEBERTLAB_GLUE", Path(__file__).parents[3] / "shared" / "data" / "glue"))
    file, vocabulary = folder / "sst2" / "train.parquet", folder / "vocab" / "bert-base-uncased-vocab.txt"
    if not (file.is_file() and vocabulary.is_file()):
        pytest.skip("needs SST-2 of GLUE and BERT's vocabulary")
    import pyarrow.parquet
    from tokenizers import BertWordPieceTokenizer

    sentences = pyarrow.parquet.read_table(file).column("sentence").to_pylist()[:5000]
    tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(sentences)]
    assert float(np.mean(lengths)) == pytest.approx(13.32, rel=0.03)


def test_generated_examples_have_the_given_lengths_and_ids_of_words() -> None:
    examples = generated_examples(LENGTHS, SHAPES["tiny"], seed=0)
    assert len(examples) == 3
    assert examples.tokens.offsets.tolist() == [0, 5, 8]
    assert len(examples.tokens.ids) == 17
    assert examples.tokens.ids.min() >= 1000
    assert examples.tokens.ids.max() < SHAPES["tiny"].vocabulary


def test_generated_examples_depend_on_the_seed_alone() -> None:
    first, same, other = (generated_examples(LENGTHS, SHAPES["tiny"], seed) for seed in (0, 0, 1))
    assert np.array_equal(first.tokens.ids, same.tokens.ids)
    assert not np.array_equal(first.tokens.ids, other.tokens.ids)


def test_generated_task_can_be_scored() -> None:
    examples = generated_examples(LENGTHS, SHAPES["tiny"], seed=0)
    task = generated_task(examples, examples)
    correct = np.eye(2)[examples.labels.numpy()]
    assert task.evaluate("select", correct)["score"] == 100.0
    assert task.evaluate("select", 1 - correct)["score"] == 0.0


def test_texts_have_the_lengths_of_sst2_in_tokens(config: BenchConfig, tmp_path: Path) -> None:
    task = text_task(50, config)
    TinyEncoder(words=30_000).tokenizer(task.splits[TRAIN].texts).save_pretrained(tmp_path)
    examples = load_examples(task, TRAIN, tmp_path, MAXIMUM_TOKENS)
    assert np.array_equal(examples.tokens.lengths, sentence_lengths(50, config.seed))


def _widths(sampler: EpochSampler) -> list[int]:
    plan = sampler.epoch("labels", 0, 32)
    return [int(MANY_LENGTHS[plan.order[a:b]].max()) for a, b in zip(plan.bounds, plan.bounds[1:], strict=False)]


@pytest.mark.parametrize("steps", [6, 8, 40, 50])
def test_representative_batches_are_padded_like_the_epoch(steps: int) -> None:
    epoch = _widths(EpochSampler(seed=0, lengths=MANY_LENGTHS))
    chosen = _widths(RepresentativeBatches(seed=0, lengths=MANY_LENGTHS, warm_up=2, steps=steps))
    assert len(chosen) == 2 + steps
    assert float(np.mean(chosen[2:])) == pytest.approx(float(np.mean(epoch)), rel=0.07)


def test_as_many_steps_as_batches_are_the_epoch_itself() -> None:
    epoch = _widths(EpochSampler(seed=0, lengths=MANY_LENGTHS))
    assert _widths(RepresentativeBatches(seed=0, lengths=MANY_LENGTHS, warm_up=0, steps=50)) == epoch


def test_batches_keep_the_order_of_sentences_and_are_padded_alone(config: BenchConfig) -> None:
    first, second = generated_batches(LENGTHS, 2, config)
    assert first.mask.sum(1).tolist() == [5, 3]
    assert first.tokens.shape == (2, 5)
    assert second.tokens.shape == (1, 9)
