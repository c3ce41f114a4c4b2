from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bebertlab.bench.lengths import COUNTS, MAXIMUM_TOKENS, SENTENCES, sentence_lengths


def test_the_histogram_is_that_of_an_epoch_of_sst2() -> None:
    assert SENTENCES == 67_349
    assert float(np.average(np.arange(len(COUNTS)), weights=COUNTS)) == pytest.approx(13.319, abs=1e-3)


@pytest.mark.parametrize("sentences", [10, 64, 1600])
def test_any_number_of_sentences_has_the_mean_of_all(sentences: int) -> None:
    lengths = sentence_lengths(sentences, seed=0)
    assert len(lengths) == sentences
    assert float(lengths.mean()) == pytest.approx(13.32, rel=0.05)


def test_all_sentences_are_the_histogram_itself_cut_at_the_maximum() -> None:
    lengths = np.bincount(sentence_lengths(SENTENCES, seed=3))
    assert tuple(lengths[:MAXIMUM_TOKENS]) == COUNTS[:MAXIMUM_TOKENS]
    assert lengths[MAXIMUM_TOKENS] == sum(COUNTS[MAXIMUM_TOKENS:])


def test_a_seed_is_an_order() -> None:
    one, same, other = (sentence_lengths(100, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.array_equal(np.sort(one), np.sort(other))


def test_real_sentences_are_as_long() -> None:
    """Against the data itself, where it is."""
    folder = Path(os.environ.get("BEBERTLAB_GLUE", Path(__file__).parents[3] / "shared" / "data" / "glue"))
    file, vocabulary = folder / "sst2" / "train.parquet", folder / "vocab" / "bert-base-uncased-vocab.txt"
    if not (file.is_file() and vocabulary.is_file()):
        pytest.skip("needs GLUE's SST-2 and BERT's vocabulary")
    import pyarrow.parquet
    from tokenizers import BertWordPieceTokenizer

    sentences = pyarrow.parquet.read_table(file).column("sentence").to_pylist()[:5000]
    tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    lengths = [len(one.ids) for one in tokenizer.encode_batch(sentences)]
    assert float(np.mean(lengths)) == pytest.approx(13.32, rel=0.03)
